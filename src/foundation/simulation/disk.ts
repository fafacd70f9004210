/**
 * The disk of a simulated machine. What a process wrote is there for every process at once; a power cut keeps what was
 * synced and, of the rest, what chance wants: a piece of the new bytes, none, or the old ones; of the changes of a folder
 * a beginning of them. It can be full, and it can fail.
 */
import type { Machine, SimulatedProcess } from './world.ts'

export interface Inode {
  number: number
  kind: 'file' | 'folder'
  mode: number
  modifiedMs: number
  bytes: Buffer
  /** What a power cut leaves for certain; undefined: never synced. */
  syncedBytes: Buffer | undefined
  entries: Map<string, Inode>
  /** Takes the changes of the folder back that were not synced, newest last. */
  undo: (() => void)[]
}

interface Watch {
  folder: string
  process: SimulatedProcess | undefined
  heard(name: string): void
}

export function systemError(code: string, call: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: simulated, ${call} '${path}'`)
  error.code = code
  error.syscall = call
  error.path = path
  return error
}

export class SimulatedDisk {
  readonly #machine: Machine
  readonly #root: Inode
  #numbers = 1
  readonly #watches = new Set<Watch>()
  /** While set, writes of new bytes fail with it. */
  full = false
  /** How often a read, a write or a sync fails with EIO. */
  failing = 0
  capacityBytes = 1e12

  constructor(machine: Machine) {
    this.#machine = machine
    this.#root = this.#inode('folder', 0o755)
  }

  #inode(kind: Inode['kind'], mode: number): Inode {
    const folderOrFile = { number: (this.#numbers += 1), kind, mode, modifiedMs: this.#machine.wallMs() }
    return { ...folderOrFile, bytes: Buffer.alloc(0), syncedBytes: undefined, entries: new Map(), undo: [] }
  }

  find(path: string): Inode | undefined {
    let inode: Inode | undefined = this.#root
    for (const part of partsOf(path)) inode = inode?.kind === 'folder' ? inode.entries.get(part) : undefined
    return inode
  }

  get(path: string, call: string): Inode {
    const inode = this.find(path)
    if (inode === undefined) throw systemError('ENOENT', call, path)
    return inode
  }

  #parent(path: string, call: string): { folder: Inode; name: string } {
    const parts = partsOf(path)
    const name = parts.pop()!
    const folder = this.get(`/${parts.join('/')}`, call)
    if (folder.kind !== 'folder') throw systemError('ENOTDIR', call, path)
    return { folder, name }
  }

  mayFail(call: string, path: string): void {
    if (this.failing === 0 || !this.#machine.world.chance.of(this.failing)) return
    this.#machine.world.fault(`EIO at ${call} on ${this.#machine.name}`)
    throw systemError('EIO', call, path)
  }

  readFolder(path: string): string[] {
    const folder = this.get(path, 'scandir')
    if (folder.kind !== 'folder') throw systemError('ENOTDIR', 'scandir', path)
    return [...folder.entries.keys()].toSorted()
  }

  makeFolder(path: string, mode = 0o755): void {
    const { folder, name } = this.#parent(path, 'mkdir')
    if (folder.entries.has(name)) throw systemError('EEXIST', 'mkdir', path)
    this.#enter(folder, name, this.#inode('folder', mode), path)
  }

  makeFolders(path: string, mode = 0o755): void {
    let at = ''
    for (const part of partsOf(path)) {
      at += `/${part}`
      if (this.find(at) === undefined) this.makeFolder(at, mode)
    }
  }

  create(path: string, mode = 0o644): Inode {
    const { folder, name } = this.#parent(path, 'open')
    this.#needRoom('open', path)
    const file = this.#inode('file', mode)
    this.#enter(folder, name, file, path)
    return file
  }

  link(from: string, to: string): void {
    const inode = this.get(from, 'link')
    const { folder, name } = this.#parent(to, 'link')
    if (folder.entries.has(name)) throw systemError('EEXIST', 'link', to)
    this.#enter(folder, name, inode, to)
  }

  #enter(folder: Inode, name: string, inode: Inode, path: string): void {
    const before = folder.entries.get(name)
    folder.entries.set(name, inode)
    folder.undo.push(() => (before === undefined ? folder.entries.delete(name) : folder.entries.set(name, before)))
    this.#changed(path)
  }

  rename(from: string, to: string): void {
    const inode = this.get(from, 'rename')
    const source = this.#parent(from, 'rename')
    const target = this.#parent(to, 'rename')
    const before = target.folder.entries.get(target.name)
    if (before?.kind === 'folder' && before.entries.size > 0) throw systemError('ENOTEMPTY', 'rename', to)
    source.folder.entries.delete(source.name)
    target.folder.entries.set(target.name, inode)
    target.folder.undo.push(() => {
      if (before === undefined) target.folder.entries.delete(target.name)
      else target.folder.entries.set(target.name, before)
      source.folder.entries.set(source.name, inode)
    })
    this.#changed(from)
    this.#changed(to)
  }

  remove(path: string): void {
    const { folder, name } = this.#parent(path, 'unlink')
    const inode = folder.entries.get(name)
    if (inode === undefined) throw systemError('ENOENT', 'unlink', path)
    folder.entries.delete(name)
    folder.undo.push(() => folder.entries.set(name, inode))
    this.#changed(path)
  }

  write(inode: Inode, bytes: Uint8Array, at: number, path: string): number {
    this.#needRoom('write', path)
    this.mayFail('write', path)
    const grown = Buffer.alloc(Math.max(inode.bytes.length, at + bytes.length))
    inode.bytes.copy(grown)
    grown.set(bytes, at)
    inode.bytes = grown
    this.touch(inode, path)
    return bytes.length
  }

  touch(inode: Inode, path: string): void {
    // As fine as a file system's: two writes never leave the same time.
    inode.modifiedMs = Math.max(inode.modifiedMs + 0.001, this.#machine.wallMs() + (this.#machine.world.nowMs % 1))
    this.#changed(path)
  }

  #needRoom(call: string, path: string): void {
    if (this.full) throw systemError('ENOSPC', call, path)
  }

  sync(inode: Inode, path: string): void {
    this.mayFail('fsync', path)
    if (inode.kind === 'file') inode.syncedBytes = Buffer.from(inode.bytes)
    else inode.undo = []
  }

  /** Everything is as after the power came back. */
  losePower(): void {
    const { chance } = this.#machine.world
    const visit = (inode: Inode, path: string): void => {
      if (inode.kind === 'file') {
        if (inode.syncedBytes?.equals(inode.bytes)) return
        const kept = inode.syncedBytes ?? Buffer.alloc(0)
        const fate = chance.between(0, 2)
        // The end of a file that only grows may be lost; one that was written over may be anything of both.
        inode.bytes =
          fate === 0 ? kept : fate === 1 ? inode.bytes.subarray(0, chance.between(0, inode.bytes.length)) : inode.bytes
        if (fate === 1 && inode.bytes.length < kept.length) inode.bytes = kept
        inode.syncedBytes = Buffer.from(inode.bytes)
        return
      }
      const keep = chance.between(0, inode.undo.length)
      for (const undo of inode.undo.splice(keep).toReversed()) undo()
      inode.undo = []
      for (const [name, below] of inode.entries) visit(below, `${path}/${name}`)
    }
    visit(this.#root, '')
    this.full = false
    this.failing = 0
  }

  watch(folder: string, heard: (name: string) => void): () => void {
    const watch = { folder: `/${partsOf(folder).join('/')}`, process: this.#machine.world.process(), heard }
    this.#watches.add(watch)
    return () => this.#watches.delete(watch)
  }

  /** A bell may ring late, and sometimes it does not ring. */
  #changed(path: string): void {
    if (this.#watches.size === 0) return
    const parts = partsOf(path)
    const name = parts.pop()!
    const folder = `/${parts.join('/')}`
    const { world } = this.#machine
    for (const watch of this.#watches) {
      if (watch.process?.alive === false) this.#watches.delete(watch)
      else if (watch.folder === folder && !world.chance.of(0.1))
        world.after(world.chance.next() * 5, 'a watch rings', () => watch.heard(name), watch.process)
    }
  }
}

export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}
