// Manual pages, made from the option table. Pure.
#ifndef TUG_CLI_MAN_PAGE_H_
#define TUG_CLI_MAN_PAGE_H_

#include "cli/options.h"

#include <string>
#include <string_view>
#include <vector>

namespace tug::cli {

// The page of the program, `program`(1), and of a verb, `program`-`verb`(1), as roff with man(7)'s
// macros, in ASCII.
std::string man_page(const std::vector<Verb>& verbs, std::string_view program);
std::string man_page(const Verb& verb, std::string_view program);

}  // namespace tug::cli

#endif  // TUG_CLI_MAN_PAGE_H_
