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
  mount_setattr: 442,
}
const clone3 = 435

const architectures: Partial<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    ioctl: 16,
    denied: {
      ptrace: 101,
      syslog: 103,
      pivot_root: 155,
      chroot: 161,
      acct: 163,
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
      kexec_load: 246,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      unshare: 272,
      perf_event_open: 298,
      name_to_handle_at: 303,
      open_by_handle_at: 304,
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
    denied: {
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      chroot: 51,
      quotactl: 60,
      acct: 89,
      unshare: 97,
      kexec_load: 104,
      init_module: 105,
      delete_module: 106,
      syslog: 116,
      ptrace: 117,
      reboot: 142,
      sethostname: 161,
      setdomainname: 162,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      swapon: 224,
      swapoff: 225,
      perf_event_open: 241,
      name_to_handle_at: 264,
      open_by_handle_at: 265,
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
const tiocsti = 0x5412
const offsets = { number: 0, architecture: 4, firstArgument: 16, secondArgument: 24 }

/** The program as hex, or undefined for a machine whose call numbers are not listed here. */
export function syscallFilterHex(machine: string): string | undefined {
  const architecture = architectures[machine]
  if (architecture === undefined) return undefined
  const program: [code: number, whenTrue: number, whenFalse: number, value: number][] = [
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
    [jumpEqual, 0, 3, architecture.ioctl],
    [loadWord, 0, 0, offsets.secondArgument],
    [jumpEqual, 0, 1, tiocsti],
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
