#include "cli/inspect_types.h"

namespace tug::cli {

const GoType& inspect_type() {
  using Kind = GoType::Kind;
  static const GoType layer{Kind::structure,
                            "types.ImageInspectLayer",
                            nullptr,
                            {{"MIMEType", "MIMEType", &GoType::string()},
                             {"Digest", "Digest", &GoType::digest()},
                             {"Size", "Size", &GoType::integer()},
                             {"Annotations", "Annotations", &GoType::string_map()}}};
  static const GoType layers{Kind::list, "[]types.ImageInspectLayer", &layer};
  static const GoType type{Kind::structure,
                           "inspect.Output",
                           nullptr,
                           {{"Name", "Name", &GoType::string()},
                            {"Tag", "Tag", &GoType::string()},
                            {"Digest", "Digest", &GoType::digest()},
                            {"RepoTags", "RepoTags", &GoType::strings()},
                            {"Created", "Created", &GoType::time()},
                            {"DockerVersion", "DockerVersion", &GoType::string()},
                            {"Labels", "Labels", &GoType::string_map()},
                            {"Architecture", "Architecture", &GoType::string()},
                            {"Os", "Os", &GoType::string()},
                            {"Layers", "Layers", &GoType::strings()},
                            {"LayersData", "LayersData", &layers},
                            {"Env", "Env", &GoType::strings()}}};
  return type;
}

const GoType& config_type() {
  using Kind = GoType::Kind;
  static const GoType nothing{Kind::structure, "struct {}"};
  static const GoType set{Kind::map, "map[string]struct {}", &nothing};
  static const GoType digests{Kind::list, "[]digest.Digest", &GoType::digest()};
  static const GoType runtime{Kind::structure,
                              "v1.ImageConfig",
                              nullptr,
                              {{"User", "User", &GoType::string()},
                               {"ExposedPorts", "ExposedPorts", &set},
                               {"Env", "Env", &GoType::strings()},
                               {"Entrypoint", "Entrypoint", &GoType::strings()},
                               {"Cmd", "Cmd", &GoType::strings()},
                               {"Volumes", "Volumes", &set},
                               {"WorkingDir", "WorkingDir", &GoType::string()},
                               {"Labels", "Labels", &GoType::string_map()},
                               {"StopSignal", "StopSignal", &GoType::string()},
                               {"ArgsEscaped", "ArgsEscaped", &GoType::boolean()}}};
  static const GoType rootfs{
      Kind::structure,
      "v1.RootFS",
      nullptr,
      {{"Type", "type", &GoType::string()}, {"DiffIDs", "diff_ids", &digests}}};
  static const GoType step{Kind::structure,
                           "v1.History",
                           nullptr,
                           {{"Created", "created", &GoType::time()},
                            {"CreatedBy", "created_by", &GoType::string()},
                            {"Author", "author", &GoType::string()},
                            {"Comment", "comment", &GoType::string()},
                            {"EmptyLayer", "empty_layer", &GoType::boolean()}}};
  static const GoType steps{Kind::list, "[]v1.History", &step};
  static const GoType type{Kind::structure,
                           "v1.Image",
                           nullptr,
                           {{"Created", "created", &GoType::time()},
                            {"Author", "author", &GoType::string()},
                            {"Architecture", "architecture", &GoType::string()},
                            {"Variant", "variant", &GoType::string()},
                            {"OS", "os", &GoType::string()},
                            {"OSVersion", "os.version", &GoType::string()},
                            {"OSFeatures", "os.features", &GoType::strings()},
                            {"Config", "config", &runtime},
                            {"RootFS", "rootfs", &rootfs},
                            {"History", "history", &steps}}};
  return type;
}

}  // namespace tug::cli
