// What the C library cannot do in a program without shared libraries, said at once.
//
// dlopen() and the name service functions (nsswitch.conf(5)) of a static glibc load the shared
// libraries of exactly the glibc that was linked: wherever the program runs, those are another
// version's or not there, and it may crash. The libraries of the static build refer to them, and
// use them for nothing that tug needs. Each definition here takes the place of the C library's;
// each fails as the function's manual page says. That nothing else of the kind is linked is known
// from the linker's warnings, which are errors here.
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>

// Shared libraries. OpenSSL: engines, provider modules (what tug uses is built in), and to keep its
// own library loaded. SQLite: extensions.
extern "C" void* dlopen(const char*, int) noexcept { return nullptr; }
// glibc's own name for it, to which its start-up code refers.
extern "C" void* __dlopen(const char*, int) noexcept { return nullptr; }
extern "C" void* dlsym(void*, const char*) noexcept { return nullptr; }
extern "C" int dlclose(void*) noexcept { return -1; }
extern "C" int dladdr(const void*, Dl_info*) noexcept { return 0; }
extern "C" char* dlerror() noexcept {
  static char text[] = "this program loads no shared libraries";
  return text;
}

// Hosts. OpenSSL: BIO_lookup(), for programs that let it connect. libcurl asks c-ares.
extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
  return EAI_FAIL;
}
extern "C" void freeaddrinfo(addrinfo*) noexcept {}
extern "C" const char* gai_strerror(int) noexcept { return "this program has no system resolver"; }
extern "C" int getnameinfo(const sockaddr*, socklen_t, char*, socklen_t, char*, socklen_t, int) {
  return EAI_FAIL;
}
extern "C" hostent* gethostbyname(const char*) { return nullptr; }

// Services. c-ares: a port that is not a number, or is to be named; libcurl gives numbers.
extern "C" servent* getservbyname(const char*, const char*) { return nullptr; }
extern "C" int getservbyport_r(int, const char*, servent*, char*, size_t, servent** result) {
  *result = nullptr;
  return ENOENT;
}
