/**
 * A seccomp program for bubblewrap's `--seccomp`: classic BPF over `struct seccomp_data` (linux/seccomp.h), assembled
 * here because bubblewrap has no filter of its own. Calls that reach far into the kernel and that no analysis needs
 * answer EPERM; clone3 answers ENOSYS so that the C library falls back to clone, whose flags a filter can read.
 */

interface Architecture {
  /** AUDIT_ARCH_* of linux/audit.h. */
  audit: number
  denied: Record<string, number>
  clone: number
  ioctl: number
  socket: number
}

/** The same numbers everywhere since Linux 5.x. */
const recent = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_getfd: 438,
  mount_setattr: 442,
  quotactl_fd: 443,
  memfd_secret: 447,
  open_tree_attr: 467,
}
const clone3 = 435

const architectures: Partial<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    ioctl: 16,
    socket: 41,
    denied: {
      ptrace: 101,
      syslog: 103,
      uselib: 134,
      ustat: 136,
      sysfs: 139,
      vhangup: 153,
      modify_ldt: 154,
      pivot_root: 155,
      _sysctl: 156,
      chroot: 161,
      acct: 163,
      settimeofday: 164,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      sethostname: 170,
      setdomainname: 171,
      iopl: 172,
      ioperm: 173,
      init_module: 175,
      delete_module: 176,
      quotactl: 179,
      nfsservctl: 180,
      lookup_dcookie: 212,
      clock_settime: 227,
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      migrate_pages: 256,
      unshare: 272,
      move_pages: 279,
      perf_event_open: 298,
      fanotify_init: 300,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
      clock_adjtime: 305,
      setns: 308,
      process_vm_readv: 310,
      process_vm_writev: 311,
      kcmp: 312,
      finit_module: 313,
      kexec_file_load: 320,
      bpf: 321,
      userfaultfd: 323,
      ...recent,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    ioctl: 29,
    socket: 198,
    denied: {
      lookup_dcookie: 18,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      nfsservctl: 42,
      chroot: 51,
      vhangup: 58,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      clock_settime: 112,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      settimeofday: 170,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      swapon: 224,
      swapoff: 225,
      migrate_pages: 238,
      move_pages: 239,
      perf_event_open: 241,
      fanotify_init: 262,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
      clock_adjtime: 266,
      setns: 268,
      process_vm_readv: 270,
      process_vm_writev: 271,
      kcmp: 272,
      finit_module: 273,
      bpf: 280,
      userfaultfd: 282,
      kexec_file_load: 294,
      ...recent,
    },
  },
}

type Instruction = [code: number, whenTrue: number, whenFalse: number, value: number]

const loadWord = 0x20
const jumpEqual = 0x15
const jumpSet = 0x45
const jumpGreaterEqual = 0x35
const answer = 0x06
const allow = 0x7fff0000
const refuse = 0x00050001 // SECCOMP_RET_ERRNO | EPERM
const notImplemented = 0x00050026 // SECCOMP_RET_ERRNO | ENOSYS
const x32Bit = 0x40000000
const anyNewNamespace = 0x7e020000 // CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
/** Both put characters into the input of a terminal. */
const tiocsti = 0x5412
const tioclinux = 0x541c
const noSuchFamily = 0x00050061 // SECCOMP_RET_ERRNO | EAFNOSUPPORT
/** Unix, both internets, netlink (interfaces are listed by it). Not vsock, which knows no network namespace: it reaches the host of a virtual machine. */
const families = [1, 2, 10, 16]
const offsets = { number: 0, architecture: 4, firstArgument: 16, secondArgument: 24 }

/** The calls that answer EPERM whatever their arguments, by name, and `clone`; undefined as below. */
export function refusedCalls(machine: string): { refused: Record<string, number>; clone: number } | undefined {
  const architecture = architectures[machine]
  return architecture && { refused: architecture.denied, clone: architecture.clone }
}

/** The program as hex, or undefined for a machine whose call numbers are not listed here. */
export function syscallFilterHex(machine: string): string | undefined {
  const architecture = architectures[machine]
  if (architecture === undefined) return undefined
  const program: Instruction[] = [
    [loadWord, 0, 0, offsets.architecture],
    [jumpEqual, 1, 0, architecture.audit],
    [answer, 0, 0, refuse],
    [loadWord, 0, 0, offsets.number],
    [jumpGreaterEqual, 0, 1, x32Bit],
    [answer, 0, 0, refuse],
    [jumpEqual, 0, 1, clone3],
    [answer, 0, 0, notImplemented],
  ]
  for (const number of Object.values(architecture.denied)) {
    program.push([jumpEqual, 0, 1, number], [answer, 0, 0, refuse])
  }
  program.push(
    [jumpEqual, 0, 4, architecture.clone],
    [loadWord, 0, 0, offsets.firstArgument],
    [jumpSet, 0, 1, anyNewNamespace],
    [answer, 0, 0, refuse],
    [answer, 0, 0, allow],
    [jumpEqual, 0, families.length + 3, architecture.socket],
    [loadWord, 0, 0, offsets.firstArgument],
    ...families.map((family, index): Instruction => [jumpEqual, families.length - index, 0, family]),
    [answer, 0, 0, noSuchFamily],
    [answer, 0, 0, allow],
    [jumpEqual, 0, 4, architecture.ioctl],
    // The lower half only: the kernel looks at no more (CVE-2019-10063).
    [loadWord, 0, 0, offsets.secondArgument],
    [jumpEqual, 1, 0, tiocsti],
    [jumpEqual, 0, 1, tioclinux],
    [answer, 0, 0, refuse],
    [answer, 0, 0, allow],
  )
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(([code, whenTrue, whenFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(whenTrue, index * 8 + 2)
    bytes.writeUInt8(whenFalse, index * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4)
  })
  return bytes.toString('hex')
}
