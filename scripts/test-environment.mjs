// What tests get of the environment of whoever starts them: not what changes the words or colours of the programs that
// they judge, and not what a service manager, a debugger, or git says to the process that it has started.

const LEFT_OUT = [
  // Colours and the width of lines. Node.js has an opinion of its own of many a CI service.
  /^(NO_COLOR|FORCE_COLOR|CLICOLOR|CLICOLOR_FORCE|COLORTERM|NODE_DISABLE_COLORS|COLUMNS|LINES|TMUX)$/,
  /^(TERM|TERM_PROGRAM.*|TERMINFO.*|LS_COLORS|GREP_COLORS?|PAGER|LESS.*)$/,
  /^(CI|CI_NAME|TF_BUILD|AGENT_NAME|BUILD_.*|TRAVIS|CIRCLECI|APPVEYOR|GITLAB_.*|GITHUB_.*|GITEA_.*|BUILDKITE.*|DRONE.*|TEAMCITY_.*)$/,
  // Language, place and time.
  /^(LANG|LANGUAGE|LC_.*|TZ)$/,
  // What Node.js and the dynamic linker do before a program begins; debuggers of the tests' runner.
  /^(NODE_OPTIONS|NODE_DEBUG.*|NODE_V8_COVERAGE|NODE_NO_WARNINGS|NODE_PENDING_DEPRECATION|UV_.*|DEBUG)$/,
  /^(LD_PRELOAD|LD_LIBRARY_PATH|MALLOC_.*|ASAN_OPTIONS|UBSAN_OPTIONS|PYTHON.*)$/,
  /^(TAP|TAP_.*|_TAPJS_.*|TS_NODE_.*)$/,
  // systemd's.
  /^(LISTEN_FDS|LISTEN_PID|LISTEN_FDNAMES|NOTIFY_SOCKET|WATCHDOG_.*|INVOCATION_ID|JOURNAL_STREAM|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION)_DIRECTORY)$/,
  // git's, in a hook; a desktop's; make's.
  /^(GIT_.*|XDG_.*|MAKEFLAGS|MFLAGS|MAKELEVEL)$/,
  // The server's and its units', but for what is meant for tests.
  /^AIONBD_(?!TEST_|STAND_IN$|ADDON$)/,
];

/** The part of `environment` that tests get, and what is the same for all of them. */
export function testEnvironment(environment) {
  const kept = Object.entries(environment).filter(([name]) => !LEFT_OUT.some((out) => out.test(name)));
  return { ...Object.fromEntries(kept), LANG: 'C.UTF-8', TERM: 'dumb' };
}
