// policy.json: which images may be copied at all (containers-policy.json(5)).
//
// tug verifies no signatures yet, so a requirement that demands one rejects: never accept what
// cannot be checked.
#ifndef TUG_COPY_POLICY_H_
#define TUG_COPY_POLICY_H_

#include <tug/reference.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tug {

// A value.
class Policy {
 public:
  // --insecure-policy, and what a missing file means.
  static Policy accept_anything();
  // `named` is --policy; else $XDG_CONFIG_HOME (or ~/.config)/containers/policy.json,
  // /etc/containers/policy.json, /usr/share/containers/policy.json; none of them: accept anything.
  // Throws Error(usage): a named file that is missing, any file that is unreadable or broken.
  static Policy load(const std::optional<std::string>& named);
  // The file's text; `path` is for messages. As containers/image it takes nothing that it does not
  // know: a key that is misspelt would be a rule that is not there.
  static Policy parse(std::string_view text, const std::string& path);

  // Throws Error(denied) naming the file and the scope when an image from `source` may not be used,
  // and what policy_scopes() throws.
  void check(const ImageReference& source) const;

 private:
  enum class Verdict { accept, reject, needs_signature };
  struct Requirement {
    Verdict verdict;
    std::string type;
  };
  using Requirements = std::vector<Requirement>;
  static Requirement parse_requirement(const class Json& value, const std::string& list);
  static Requirements parse_requirements(const class Json& value, const std::string& where);
  void parse_transports(const class Json& transports);

  std::string path_;
  Requirements default_;
  std::map<std::string, std::map<std::string, Requirements>> transports_;
};

}  // namespace tug

#endif  // TUG_COPY_POLICY_H_
