#!/bin/sh
# What no source of the program may do (issue 5, security), read from the text of its lines without comments.
#   dangerous.sh ROOT        checks include/ and src/ of ROOT, prints each violation, exits 1 if there is one
#   dangerous.sh --self-test checks that each rule finds what it is there for
set -eu
export LC_ALL=C

# Each line of stdin is "path:number:text", the path relative to the root.
check_lines() {
  awk -F: '
    function bad(why) { print $1 ":" $2 ": " why; failed = 1 }
    # A call of one of these functions of C or POSIX, not of a member of ours.
    function calls(functions) { return line ~ ("(^|[^A-Za-z0-9_.>:])((std)?::)?(" functions ")[(]") }
    {
      line = $0
      sub(/^[^:]*:[^:]*:/, "", line)
      sub(/(^|[^:"])\/\/.*/, "", line)

      # 1. No shell, anywhere. Programs that are asked for (credential helpers, sops) are run by one file, from arguments.
      if (calls("system|popen|wordexp") || line ~ /\/bin\/(ba|da)?sh/) bad("starts a shell")
      if (calls("fork|vfork|execv|execve|execvp|execvpe|execl|execlp|execle|posix_spawn|posix_spawnp") && $1 != "src/base/subprocess.cc")
        bad("starts a program: base/subprocess.h does")

      # 2. A new file has a name that nobody can have made before, and is for its owner only until it is complete. The lock of the results
      #    directory stays and is shared; the digest file of a sync belongs to the user, and grows a line with each image.
      if (line ~ /O_CREAT/ && line !~ /O_EXCL.*0600/ && $1 != "src/step/results_directory.cc" && $1 != "src/cli/sync_story.cc") bad("creates a file without O_EXCL and 0600")
      if (calls("fopen|freopen|tmpfile|tmpnam|tempnam|mktemp|mkstemp|creat") || line ~ /std::(o|basic_o)?fstream/)
        bad("writes files by itself: base/fd.h does")

      # 3. No write without its length.
      if (calls("gets|strcpy|strcat|stpcpy|sprintf|vsprintf")) bad("writes to memory without a limit")
    }
    END { exit failed || NR == 0 }
  '
}

check_tree() {
  (cd "$1" && find include src -name '*.h' -o -name '*.cc' | sort | xargs grep -Hn '' | check_lines)
}

self_test() {
  failures=0
  while read -r expected path text; do
    if printf '%s:1:%s\n' "$path" "$text" | check_lines >/dev/null; then found=good; else found=bad; fi
    if [ "$found" != "$expected" ]; then
      echo "$path with $text is $found, not $expected"
      failures=1
    fi
  done <<'CASES'
good src/cli/a.cc x = 1;
good src/cli/a.cc // as system(3) would
good src/cli/a.cc const auto os = platform.system();
good src/cli/a.cc host->system(x);
good src/cli/a.cc Platform::system(x);
good src/cli/a.cc "system (default), all"
good src/base/subprocess.cc ::execve(path, argv, envp);
good src/base/fd.cc ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
good src/base/fd.cc url = "https://reg.example/x";
good src/step/results_directory.cc ::open(path, O_RDWR | O_CREAT, kFileMode);
good src/cli/sync_story.cc open(path, O_WRONLY | O_CREAT | O_TRUNC, kMode);
good src/base/a.cc snprintf(text, sizeof text, "%d", 1);
bad src/cli/a.cc system("ls");
bad src/cli/a.cc std::system("ls");
bad src/cli/a.cc return ::system(command);
bad src/cli/a.cc FILE* f = popen(command, "r");
bad src/base/subprocess.cc arguments = {"/bin/sh", "-c"};
bad src/base/subprocess.cc arguments = {"/bin/bash", "-c"};
bad src/registry/a.cc ::execve(path, argv, envp);
bad src/registry/a.cc if (fork() == 0)
bad src/base/fd.cc ::open(path, O_WRONLY | O_CREAT | O_EXCL, 0666);
bad src/base/fd.cc ::open(path, O_WRONLY | O_CREAT, 0600);
bad src/copy/a.cc std::ofstream out(path);
bad src/copy/a.cc fopen(path, "w");
bad src/copy/a.cc ::mkstemp(name);
bad src/copy/a.cc std::strcpy(to, from);
CASES
  return $failures
}

if [ "$1" = --self-test ]; then self_test; else check_tree "$1"; fi
