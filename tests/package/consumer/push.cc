// push SOURCE DESTINATION
#include <tug/copy.h>

#include <cstdio>

int main(int, char** arguments) try {
  const auto source = tug::ImageReference::parse(arguments[1]);
  const auto destination = tug::ImageReference::parse(arguments[2]);
  const tug::CopyReport report = tug::copy_image(source, destination);
  std::puts(report.manifest.digest.str().c_str());
} catch (const tug::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
