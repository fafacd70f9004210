import { createServer } from 'node:net'
import { mkdir, readFile, symlink, writeFile, chmod } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { openTestRoom, commandSpec, type TestRoom } from '../testing.ts'
import { translatePaths, wrongMount } from './arguments.ts'
import { closedFolder, findPython } from './python.ts'
import { syscallFilterHex } from './syscall-filter.ts'

const isRoot = process.getuid?.() === 0

async function openRoom(): Promise<TestRoom & { folder: string }> {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder.path)
  onTestFinished(async () => {
    await room.compute.close()
    await database.close()
  })
  const { available, reason } = await room.compute.sandboxReport()
  expect(available, `these tests need the sandbox: ${reason}`).toBe(true)
  await room.compute.start()
  return { ...room, folder: folder.path }
}

/** What a probe reports: each test reads its own members. */
type Seen = Record<string, unknown> & {
  environment: string[]
  etc: string[]
  passwd: string
  pids: number[]
  descriptors: string[]
  groups: number[]
}

/** Runs Python inside the sandbox and gives what it printed as JSON. */
async function inside(room: TestRoom, script: string, more = {}): Promise<Seen> {
  const { id } = await room.submit({ ...commandSpec(['/usr/bin/python3', '-c', `import json\n${script}`]), ...more })
  const job = await room.compute.ended(id)
  const log = await readFile(join(room.compute.folderOf(id, job.attempt), 'log'), 'utf8')
  expect(job.state, log).toBe('done')
  return JSON.parse(log.trim().split('\n').at(-1)!) as Seen
}

describe('inside the sandbox', () => {
  test('there is nothing of the host but the system itself', async () => {
    const room = await openRoom()
    const secret = join(room.folder, 'secret')
    await writeFile(secret, 'top secret', { mode: 0o644 })
    const seen = await inside(
      room,
      `
import os
def listing(path):
    try: return sorted(os.listdir(path))
    except OSError as error: return error.errno
print(json.dumps({
  'root': listing('/'), 'etc': listing('/etc'), 'home': listing('/home'), 'run': listing('/run'), 'tmp': listing('/tmp'),
  'secret': os.path.exists(${JSON.stringify(secret)}), 'folder': os.path.exists(${JSON.stringify(room.home)}),
  'shadow': os.path.exists('/etc/shadow'), 'sys': os.path.exists('/sys/kernel'), 'work': os.path.exists('/work'), 'rootHome': listing('/root'),
  'passwd': open('/etc/passwd').read(), 'host': os.uname().nodename, 'environment': sorted(os.environ),
}))`,
    )
    expect(seen).toMatchObject({
      secret: false,
      folder: false,
      shadow: false,
      sys: false,
      work: false,
      home: ['alice'],
      tmp: [],
      host: 'cygnet',
    })
    expect(seen.rootHome).toBe(2)
    expect(seen.etc).not.toContain('ssh')
    expect(seen.passwd.split('\n')).toHaveLength(4)
    for (const name of seen.environment)
      expect(name).toMatch(/^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_CTYPE|TMPDIR|PWD|CYGNET_\w+)$/)
  })

  test('no other process, no open descriptor, no capability, no new privileges', async () => {
    const room = await openRoom()
    const seen = await inside(
      room,
      `
import os
status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
print(json.dumps({
  'pids': sorted(int(name) for name in os.listdir('/proc') if name.isdigit()),
  'descriptors': [os.readlink('/proc/self/fd/' + name) for name in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + name)],
  'cap': status['CapEff'], 'bounding': status['CapBnd'], 'nnp': status['NoNewPrivs'], 'seccomp': status['Seccomp'], 'uid': os.getuid(), 'groups': os.getgroups(),
}))`,
    )
    expect(seen.pids.length).toBeLessThanOrEqual(4)
    for (const target of seen.descriptors)
      expect(target).toMatch(/^(\/dev\/null|\/proc\/\d+\/fd|.*\/log( \(deleted\))?|\/log)$/)
    expect(seen).toMatchObject({
      cap: '0000000000000000',
      bounding: '0000000000000000',
      nnp: '1',
      seccomp: syscallFilterHex(process.arch) === undefined ? '0' : '2',
    })
    if (isRoot) expect(seen).toMatchObject({ uid: 300_001 })
    expect(
      seen.groups.filter((group: number) => group !== 65534 && group !== 300_001 && group !== process.getgid?.()),
    ).toEqual([])
  })

  test('no network: not the host, not its loopback, not its abstract sockets', async () => {
    const room = await openRoom()
    const server = createServer((socket) => socket.end('host'))
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const abstract = createServer((socket) => socket.end('host'))
    const abstractName = `cygnet-${Math.random()}`
    await new Promise<void>((listening) => abstract.listen(`\0${abstractName}`, listening))
    onTestFinished(() => void (server.close(), abstract.close()))
    const { port } = server.address() as { port: number }
    const seen = await inside(
      room,
      `
import socket
def attempt(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(2)
        return one.connect_ex(address)
print(json.dumps({
  'loopback': attempt(socket.AF_INET, ('127.0.0.1', ${port})), 'metadata': attempt(socket.AF_INET, ('169.254.169.254', 80)),
  'abstract': attempt(socket.AF_UNIX, '\\0${abstractName}'), 'interfaces': [name for _, name in socket.if_nameindex()],
}))`,
    )
    expect(seen.loopback).toBe(111)
    expect(seen.metadata).not.toBe(0)
    expect(seen.abstract).toBe(111)
    expect(seen.interfaces).toEqual(['lo'])
  })

  test('what is read-only stays so, and what reaches into the kernel is refused', async () => {
    const room = await openRoom()
    const seen = await inside(
      room,
      `
import os, ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def write(path):
    try:
        open(path, 'w').close(); return 0
    except OSError as error: return errno.errorcode[error.errno]
def call(number, *values):
    ctypes.set_errno(0)
    return 'done' if libc.syscall(number, *values) != -1 else errno.errorcode[ctypes.get_errno()]
print(json.dumps({
  'usr': write('/usr/x'), 'etc': write('/etc/x'), 'passwd': write('/etc/passwd'), 'root': write('/x'), 'private': write('/run/cygnet/x'),
  'out': write('/out/x'), 'home': write(os.path.expanduser('~/x')), 'tmp': write('/tmp/x'), 'work': write('/data/demo-work/x'),
  'unshare': libc.unshare(0x10000000), 'mount': libc.mount(b'none', b'/tmp', b'tmpfs', 0, None), 'chroot': libc.chroot(b'/tmp'),
  'ptrace': libc.ptrace(0, 0, 0, 0), 'setuid': libc.setuid(0),
}))`,
    )
    expect(seen).toMatchObject({ out: 0, home: 0, tmp: 0, work: 0, unshare: -1, mount: -1, chroot: -1, setuid: -1 })
    for (const place of ['usr', 'etc', 'passwd', 'root', 'private'])
      expect(['EROFS', 'EACCES', 'EPERM'], place).toContain(seen[place])
    if (syscallFilterHex(process.arch) !== undefined) expect(seen.ptrace).toBe(-1)
  })

  test('links in what a person may write do not lead out of it', async () => {
    const room = await openRoom()
    const home = join(room.home, 'homes', 'alice')
    await inside(room, 'print(1)')
    await symlink('/etc/shadow', join(home, 'shadow'))
    await symlink(join(room.home, 'jobs'), join(home, 'jobs'))
    const seen = await inside(
      room,
      `
import os
print(json.dumps([os.path.exists(os.path.expanduser('~/' + name)) for name in ('shadow', 'jobs')]))`,
    )
    expect(seen).toEqual([false, false])
  })

  test.runIf(isRoot)('one person cannot read what another left, on the host either', async () => {
    const room = await openRoom()
    await inside(room, 'import os\nopen(os.path.expanduser("~/mine"), "w").write("alice")\nprint(1)')
    const seen = await inside(
      room,
      'import os\nprint(json.dumps([os.getuid(), os.listdir("/home"), os.path.exists("/home/alice")]))',
      { ownerId: 'person-b', ownerName: 'bob' },
    )
    expect(seen).toEqual([300_002, ['bob'], false])
    const { mode, uid } = await import('node:fs/promises').then((fs) => fs.stat(join(room.home, 'homes', 'alice')))
    expect([mode & 0o777, uid]).toEqual([0o700, 300_001])
  })

  test("too many processes are refused, not the machine's problem", async () => {
    const room = await openRoom()
    if ((await room.compute.sandboxReport()).limits === 'none') return
    room.compute.registerKind('forks', {
      async prepare() {
        return {
          argv: [
            '/usr/bin/python3',
            '-c',
            'import os,time\nn=0\nwhile n < 500:\n  try:\n    if os.fork() == 0: time.sleep(5); os._exit(0)\n  except OSError: break\n  n += 1\nprint(n, flush=True)',
          ],
          mounts: [],
          environment: {},
          network: 'none',
          files: [],
          limits: { processes: 40 },
        }
      },
    })
    const { id } = await room.submit({ kind: 'forks', payload: {} })
    const job = await room.compute.ended(id)
    const log = await readFile(join(room.compute.folderOf(id, job.attempt), 'log'), 'utf8')
    expect(Number(log)).toBeLessThan(40)
  })

  test('secrets stay out of the process list', async () => {
    const room = await openRoom()
    room.compute.registerKind('secret', {
      async prepare() {
        return {
          argv: ['sleep', '30'],
          mounts: [],
          environment: { TOKEN_FOR_TEST: 'canary-51b2' },
          network: 'none',
          files: [{ name: 'token', content: 'canary-51b2' }],
        }
      },
    })
    const { id } = await room.submit({ kind: 'secret', payload: {} })
    while ((await room.compute.show(id)).state !== 'running') await new Promise((resolve) => setTimeout(resolve, 20))
    const { readdir } = await import('node:fs/promises')
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      expect(await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''), pid).not.toContain('canary-51b2')
    }
    await room.compute.cancel(id)
    await room.compute.ended(id)
  })
})

describe('the gateway network', () => {
  test('the relay carries bytes both ways to the sockets, and only there', async () => {
    const room = await openRoom()
    const socketPath = join(room.home, 'run', 'gateway', 'platform.sock')
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('end', () => socket.end(Buffer.concat(chunks).reverse()))
      socket.on('error', () => undefined)
    })
    await new Promise<void>((listening) => server.listen(socketPath, listening))
    await chmod(socketPath, 0o777)
    onTestFinished(() => void server.close())
    room.compute.registerKind('calls', {
      async prepare() {
        return {
          argv: [
            '/usr/bin/python3',
            '-c',
            `
import json, os, socket, threading
def call(data):
    with socket.create_connection(('127.0.0.1', 8410), 10) as one:
        sender = threading.Thread(target=lambda: (one.sendall(data), one.shutdown(socket.SHUT_WR)))
        sender.start()
        parts = []
        while True:
            part = one.recv(1 << 16)
            if not part: break
            parts.append(part)
        sender.join()
    return b''.join(parts)
big = os.urandom(3_000_000)
def refused(port):
    with socket.socket() as one:
        one.settimeout(5)
        one.connect(('127.0.0.1', port))
        return one.recv(1) == b''
print(json.dumps([call(b'abc').decode(), call(big) == big[::-1], [call(bytes([k]) * 100) == bytes([k]) * 100 for k in range(50)].count(True), refused(8411), os.environ['CYGNET_URL']]))
raise SystemExit(7)`,
          ],
          mounts: [],
          environment: {},
          network: 'gateway',
          files: [],
        }
      },
    })
    const { id } = await room.submit({ kind: 'calls', payload: {} })
    const job = await room.compute.ended(id)
    const log = await readFile(join(room.compute.folderOf(id, job.attempt), 'log'), 'utf8')
    expect(JSON.parse(log)).toEqual(['cba', true, 50, true, 'http://127.0.0.1:8410'])
    expect(job.exitCode).toBe(7)
  })
})

describe('finding Python', () => {
  test('a folder that is closed to others is named', async () => {
    const folder = await temporaryDirectory()
    await chmod(folder.path, 0o755)
    await mkdir(join(folder.path, 'closed', 'bin'), { recursive: true })
    await chmod(join(folder.path, 'closed'), 0o700)
    expect(await closedFolder(join(folder.path, 'closed', 'bin'))).toBe(join(folder.path, 'closed'))
    await symlink(join(folder.path, 'closed'), join(folder.path, 'link'))
    expect(await closedFolder(join(folder.path, 'link', 'bin'))).toBe(join(folder.path, 'closed'))
    expect(await closedFolder('/usr/bin')).toBeUndefined()
  })

  test('what was refused is said', async () => {
    await expect(findPython({ minimum: [9, 0], forOthers: false, searchPath: '/usr/bin' })).rejects.toMatchObject({
      code: 'compute.python_missing',
      message: expect.stringContaining('is older than 9.0'),
    })
  })
})

describe('mounts and paths', () => {
  test('what would shadow the sandbox itself is refused', () => {
    for (const target of ['/proc', '/etc/passwd', '/usr/lib', 'relative', '/a/../etc', '/data/', '/dev/shm', '/a//b']) {
      expect(wrongMount({ source: '/x', target, mode: 'ro' }), target).toBeDefined()
    }
    expect(wrongMount({ source: '/x', target: '/data/demo-raw', mode: 'ro' })).toBeUndefined()
    expect(wrongMount({ source: 'x', target: '/data/demo-raw', mode: 'ro' })).toBeDefined()
  })

  test('without a sandbox, whole paths are translated and nothing else', () => {
    const mounts = [
      { source: '/h/out', target: '/out', mode: 'rw' as const },
      { source: '/h/o2', target: '/out/deep', mode: 'rw' as const },
    ]
    expect(translatePaths('cat /out/x >/out/y; {"p":"/out"} /outer /a/out --o=/out/deep/z', mounts)).toBe(
      'cat /h/out/x >/h/out/y; {"p":"/h/out"} /outer /a/out --o=/h/o2/z',
    )
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('/out')),
        (text) => translatePaths(text, mounts) === text,
      ),
    )
  })
})
