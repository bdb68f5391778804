{
  "variables": { "sanitize%": "" },
  "targets": [
    {
      "target_name": "aionbd",
      "sources": [
        "addon/aio.cc", "addon/binding.cc", "addon/busy_poll.cc", "addon/descriptors.cc", "addon/gather.cc", "addon/io.cc", "addon/memory.cc", "addon/older_systems.cc", "addon/probe.cc",
        "addon/reactor.cc", "addon/reactor_files.cc", "addon/reactor_sockets.cc", "addon/read_groups.cc", "addon/sockets.cc",
        "addon/workers.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-fno-exceptions", "-fvisibility=hidden"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-O3"],
      "conditions": [
        ["sanitize!=''", {
          "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined", "-g"],
          "ldflags": ["-fsanitize=<(sanitize)"]
        }]
      ]
    }
  ]
}
