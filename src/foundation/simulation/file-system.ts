/** node:fs and node:fs/promises as the rooms use them, on the disk of the machine the current process runs on. */
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { systemError, type Inode, type SimulatedDisk } from './disk.ts'
import type { World } from './world.ts'

type Content = string | Uint8Array

/** The program itself lies on every machine. */
const programFolder = fileURLToPath(new URL('../../../', import.meta.url))

export function simulatedFileSystem(world: World) {
  const disk = (): SimulatedDisk => world.requireProcess().machine.disk
  const asking = <Result>(call: string, path: string, work: (disk: SimulatedDisk) => Result): Promise<Result> =>
    world.io(`${call} ${path}`, () => work(disk()))

  const statOf = (inode: Inode) => ({
    size: inode.bytes.length,
    mtimeMs: inode.modifiedMs,
    ctimeMs: inode.modifiedMs,
    ino: inode.number,
    mode: inode.mode,
    isFile: () => inode.kind === 'file',
    isDirectory: () => inode.kind === 'folder',
  })

  let descriptors = 10
  function openHandle(path: string, flags: string, mode?: number) {
    const process = world.requireProcess()
    const own = process.machine.disk
    let inode = own.find(path)
    if (inode === undefined) {
      if (flags === 'r') throw systemError('ENOENT', 'open', path)
      inode = own.create(path, mode)
    } else if (flags === 'wx') throw systemError('EEXIST', 'open', path)
    else if (flags === 'w') own.write(truncated(inode), Buffer.alloc(0), 0, path)
    const file = inode
    const fd = (descriptors += 1)
    if (flags !== 'r') process.writing.set(fd, path)
    return {
      fd,
      stat: () => world.io(`fstat ${path}`, () => statOf(file)),
      chmod: (newMode: number) => world.io(`fchmod ${path}`, () => void (file.mode = newMode)),
      async read(buffer: Uint8Array, offset: number, length: number, position: number) {
        return await world.io(`read ${path}`, () => {
          own.mayFail('read', path)
          const part = file.bytes.subarray(position, position + length)
          buffer.set(part, offset)
          return { bytesRead: part.length, buffer }
        })
      },
      async writeFile(content: Content) {
        await world.io(`write ${path}`, () => own.write(file, bytesOf(content), file.bytes.length, path))
      },
      sync: () => world.io(`fsync ${path}`, () => own.sync(file, path)),
      async close() {
        await world.io(`close ${path}`, () => process.writing.delete(fd))
      },
    }
  }

  function readWhole(path: string, encoding: unknown): string | Buffer {
    const own = disk()
    const text = pseudoFile(path)
    const bytes = text === undefined ? own.get(path, 'open').bytes : Buffer.from(text)
    own.mayFail('read', path)
    const wanted = typeof encoding === 'string' ? encoding : (encoding as { encoding?: string } | undefined)?.encoding
    return wanted === undefined ? Buffer.from(bytes) : bytes.toString(wanted as BufferEncoding)
  }

  /** What /proc says of processes. */
  function pseudoFile(path: string): string | undefined {
    const { machine } = world.requireProcess()
    if (path.startsWith(programFolder)) return readFileSync(path, 'utf8')
    if (path === '/proc/sys/kernel/random/boot_id') return `${machine.bootId}\n`
    const [, pid, file, descriptor] = /^\/proc\/(\d+)\/(stat|fdinfo)(?:\/(\d+))?$/.exec(path) ?? []
    if (pid === undefined) return undefined
    const found = machine.processes.get(Number(pid))
    if (found === undefined) throw systemError('ENOENT', 'open', path)
    if (file === 'fdinfo') return `pos:\t0\nflags:\t0${found.writing.has(Number(descriptor)) ? '2' : '0'}\n`
    return `${pid} (${found.name}) S ${'0 '.repeat(18)}${found.startTicks} 0 0`
  }

  function readFolder(path: string): string[] {
    const { machine } = world.requireProcess()
    if (path === '/proc') return [...machine.processes.keys()].map(String)
    const pid = /^\/proc\/(\d+)\/fd$/.exec(path)?.[1]
    if (pid === undefined) return machine.disk.readFolder(path)
    return [...(machine.processes.get(Number(pid))?.writing.keys() ?? [])].map(String)
  }

  function removeTree(path: string, given: { recursive?: boolean; force?: boolean }): void {
    const own = disk()
    const inode = own.find(path)
    if (inode === undefined) {
      if (given.force) return
      throw systemError('ENOENT', 'rm', path)
    }
    if (inode.kind === 'folder') for (const name of inode.entries.keys()) removeTree(`${path}/${name}`, given)
    own.remove(path)
  }

  function writeWhole(path: string, content: Content, given: { mode?: number; flag?: string } = {}): void {
    const own = disk()
    let inode = own.find(path)
    if (inode !== undefined && given.flag === 'wx') throw systemError('EEXIST', 'open', path)
    inode ??= own.create(path, given.mode)
    own.write(truncated(inode), bytesOf(content), 0, path)
  }

  const promises = {
    stat: (path: string) => asking('stat', path, (own) => statOf(own.get(path, 'stat'))),
    realpath: (path: string) => asking('realpath', path, (own) => (own.get(path, 'realpath'), path)),
    readdir: (path: string) => asking('readdir', path, () => readFolder(path)),
    readlink: (path: string) =>
      asking('readlink', path, () => {
        const [, pid, descriptor] = /^\/proc\/(\d+)\/fd\/(\d+)$/.exec(path) ?? []
        const target = world.requireProcess().machine.processes.get(Number(pid))?.writing.get(Number(descriptor))
        if (target === undefined) throw systemError('ENOENT', 'readlink', path)
        return target
      }),
    readFile: (path: string, encoding?: unknown) => asking('read', path, () => readWhole(path, encoding)),
    writeFile: (path: string, content: Content, given?: { mode?: number; flag?: string }) =>
      asking('write', path, () => writeWhole(path, content, given)),
    open: (path: string, flags = 'r', mode?: number) => asking('open', path, () => openHandle(path, flags, mode)),
    rename: (from: string, to: string) => asking('rename', `${from} ${to}`, (own) => own.rename(from, to)),
    link: (from: string, to: string) => asking('link', `${from} ${to}`, (own) => own.link(from, to)),
    unlink: (path: string) => asking('unlink', path, (own) => own.remove(path)),
    rm: (path: string, given: { recursive?: boolean; force?: boolean } = {}) =>
      asking('rm', path, () => removeTree(path, given)),
    mkdir: (path: string, given: { recursive?: boolean; mode?: number } = {}) =>
      asking('mkdir', path, (own) =>
        given.recursive ? own.makeFolders(path, given.mode) : own.makeFolder(path, given.mode),
      ),
    chmod: (path: string, mode: number) => asking('chmod', path, (own) => void (own.get(path, 'chmod').mode = mode)),
    chown: (path: string) => asking('chown', path, (own) => void own.get(path, 'chown')),
    statfs: (path: string) =>
      asking('statfs', path, (own) => ({ bavail: own.full ? 0 : 1e9, bsize: 4096, type: 0xef53 })),
  }

  const plain = {
    readFileSync: (path: string, encoding?: unknown) => (world.requireProcess(), readWhole(path, encoding)),
    createReadStream(path: string) {
      const pieces = async function* () {
        const bytes = (await promises.readFile(path)) as Buffer
        for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
      }
      return Readable.from(pieces())
    },
    watch(path: string, heard: (event: string, name: string) => void) {
      const own = disk()
      own.get(path, 'watch')
      const close = own.watch(path, (name) => heard('change', name))
      return Object.assign(new EventEmitter(), { close })
    },
  }
  return { promises, plain }
}

function truncated(inode: Inode): Inode {
  inode.bytes = Buffer.alloc(0)
  return inode
}

function bytesOf(content: Content): Uint8Array {
  return typeof content === 'string' ? Buffer.from(content) : content
}
