import { type Finding, note, ok, problem } from './finding.js';

/** What is asked of the machine, so that a test can be another one. */
export interface Machine {
  /** The content of a file, or undefined if it cannot be read. */
  read(path: string): string | undefined;
  exists(path: string): boolean;
  /** Whether a program of this name is on the PATH or in a sbin. */
  hasProgram(name: string): boolean;
  /** `os.release()`. */
  readonly kernelRelease: string;
  readonly nodeVersion: string;
  readonly processors: number;
}

/** NOWAIT for AIO came with 4.14, and direct I/O's alignment can be asked for since 6.1. */
const OLDEST_KERNEL = [4, 14];
const KERNEL_THAT_TELLS_ALIGNMENT = [6, 1];
const OLDEST_NODE = 20;
/** Descriptors that a server has besides its connections, generously. */
const OWN_DESCRIPTORS = 256;
const DEFAULT_CONNECTIONS = 1024;
/** What a Unix socket should be able to hold of replies: 4 MiB are asked for, and halved in the kernel's book-keeping. */
const WANTED_SOCKET_BYTES = 4 * 1024 * 1024;
const SMALL_SOCKET_BYTES = 1024 * 1024;

export function examineMachine(machine: Machine, queueDepth: number): Finding[] {
  return [
    kernel(machine),
    node(machine),
    asynchronousIo(machine, queueDepth),
    descriptors(machine),
    socketBuffers(machine),
    nbdModule(machine),
    clients(machine),
    processors(machine),
  ];
}

function kernel({ kernelRelease }: Machine): Finding {
  const found = `Linux ${kernelRelease}`;
  if (isOlder(kernelRelease, OLDEST_KERNEL)) {
    return problem(
      'kernel',
      found,
      `use ${OLDEST_KERNEL.join('.')} or later: direct I/O could block the server`,
    );
  }
  if (isOlder(kernelRelease, KERNEL_THAT_TELLS_ALIGNMENT)) {
    const advice = `from ${KERNEL_THAT_TELLS_ALIGNMENT.join('.')} on a file's alignment need not be found out by trying`;
    return note('kernel', found, advice);
  }
  return ok('kernel', found);
}

function node({ nodeVersion }: Machine): Finding {
  return Number(nodeVersion.replace(/^v/, '').split('.')[0]) >= OLDEST_NODE
    ? ok('Node.js', nodeVersion)
    : problem('Node.js', nodeVersion, `use version ${OLDEST_NODE} or later`);
}

function asynchronousIo(machine: Machine, queueDepth: number): Finding {
  const most = numberIn(machine, '/proc/sys/fs/aio-max-nr');
  const used = numberIn(machine, '/proc/sys/fs/aio-nr');
  const about = 'asynchronous I/O';
  if (most === undefined || used === undefined) {
    return note(
      about,
      'fs.aio-max-nr cannot be read',
      'mount /proc, to know how many servers there is room for',
    );
  }
  const found = `fs.aio-max-nr ${most}, of which ${used} are taken; a server takes ${queueDepth} or more`;
  if (most - used < queueDepth) {
    return problem(about, found, `raise it on the host: sysctl fs.aio-max-nr=${Math.max(1048576, most * 2)}`);
  }
  return ok(about, found);
}

function descriptors(machine: Machine): Finding {
  const about = 'descriptors';
  const line = /^Max open files\s+(\S+)/m.exec(machine.read('/proc/self/limits') ?? '');
  if (line === null) return note(about, 'their limit cannot be read', 'mount /proc, to know it');
  const found = `a process may have ${line[1]} open`;
  if (line[1] === 'unlimited' || Number(line[1]) >= DEFAULT_CONNECTIONS + OWN_DESCRIPTORS) {
    return ok(about, found);
  }
  return note(
    about,
    found,
    `for ${DEFAULT_CONNECTIONS} connections raise it: ulimit -n 65536, or LimitNOFILE=65536 in a unit`,
  );
}

function socketBuffers(machine: Machine): Finding {
  const about = 'socket buffers';
  const most = numberIn(machine, '/proc/sys/net/core/wmem_max');
  if (most === undefined) return ok(about, 'net.core.wmem_max cannot be read');
  const found = `net.core.wmem_max ${most}`;
  return most >= SMALL_SOCKET_BYTES
    ? ok(about, found)
    : note(
        about,
        found,
        `a Unix socket holds few large replies unless the server is root: sysctl net.core.wmem_max=${WANTED_SOCKET_BYTES}`,
      );
}

function nbdModule(machine: Machine): Finding {
  const about = 'kernel client';
  if (machine.exists('/sys/module/nbd')) {
    return machine.hasProgram('nbd-client') || machine.hasProgram('aionbd-attach')
      ? ok(about, 'the module nbd is loaded')
      : note(
          about,
          'the module nbd is loaded, and no program to attach exports with is installed',
          'apt-get install nbd-client; see docs/guides/attach.md',
        );
  }
  const list = machine.read(`/lib/modules/${machine.kernelRelease}/modules.dep`) ?? '';
  const builtIn = machine.read(`/lib/modules/${machine.kernelRelease}/modules.builtin`) ?? '';
  if (`${list}${builtIn}`.includes('/nbd.ko')) {
    return note(
      about,
      'the module nbd is there and not loaded',
      'to attach exports on this machine: modprobe nbd, and nbd in a file in /etc/modules-load.d for the next boot',
    );
  }
  return note(
    about,
    'this kernel has no module nbd',
    'exports can be attached as /dev/nbdN on other machines; here use qemu, libnbd or nbdfuse',
  );
}

function clients({ hasProgram }: Machine): Finding {
  const known = ['nbd-client', 'aionbd-attach', 'qemu-img', 'nbdinfo', 'nbdcopy', 'fio'];
  const found = known.filter((name) => hasProgram(name));
  return found.length > 0
    ? ok('clients', found.join(', '))
    : note(
        'clients',
        'none was found',
        'to attach and to look: apt-get install nbd-client libnbd-bin qemu-utils',
      );
}

function processors({ processors }: Machine): Finding {
  const found = `${processors}`;
  return processors > 1
    ? ok('processors', found)
    : note(
        'processors',
        found,
        'server and clients on this machine take turns; nothing else is wrong with it',
      );
}

function numberIn(machine: Machine, path: string): number | undefined {
  const text = machine.read(path)?.trim();
  return text === undefined || !/^\d+$/.test(text) ? undefined : Number(text);
}

function isOlder(release: string, than: readonly number[]): boolean {
  const parts = release.split(/[.-]/).map(Number);
  const [major = 0, minor = 0] = parts;
  const [wantedMajor = 0, wantedMinor = 0] = than;
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}
