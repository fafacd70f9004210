/**
 * The strictest disk that POSIX allows, played from system calls: bytes of a file survive a power cut after an fsync of
 * the file that began later, names in a folder after an fsync of the folder. No file system in use is that strict.
 */
import type { SystemCall } from './syscall-trace.ts'

interface Node {
  isFolder: boolean
  entries: Map<string, Node>
  /** What would be found after a power cut. */
  durableEntries: Map<string, Node>
  changes: { at: number; name: string; node: Node | undefined }[]
  writtenAt: number
  syncedFrom: number
}

export interface DurabilityModel {
  play(call: SystemCall): void
  /** Undefined if `path` and its content would survive; otherwise what is missing. */
  missing(path: string): string | undefined
  /** True if a power cut could bring `path` back (or it is there). */
  couldBeThere(path: string): boolean
}

const newNode = (isFolder: boolean): Node => ({
  isFolder,
  entries: new Map(),
  durableEntries: new Map(),
  changes: [],
  writtenAt: -1,
  syncedFrom: -1,
})

/** `root` exists, empty and durable, when the play begins. */
export function createDurabilityModel(root: string): DurabilityModel {
  const top = newNode(true)
  const descriptors = new Map<number, { node: Node | undefined; path: string }>()

  function absolute(text: string, folder?: string): string {
    const throughDescriptor = /^\/proc\/self\/fd\/(\d+)(\/.*)?$/.exec(text)
    if (throughDescriptor !== null)
      return `${descriptors.get(Number(throughDescriptor[1]))?.path ?? ''}${throughDescriptor[2] ?? ''}`
    if (text.startsWith('/')) return text
    return folder === undefined ? text : `${folder}/${text}`
  }

  function partsOf(path: string): string[] | undefined {
    if (path === root) return []
    return path.startsWith(`${root}/`) ? path.slice(root.length + 1).split('/') : undefined
  }

  function find(path: string): Node | undefined {
    const parts = partsOf(path)
    if (parts === undefined) return undefined
    return parts.reduce<Node | undefined>((node, name) => node?.entries.get(name), top)
  }

  function set(path: string, node: Node | undefined, at: number): void {
    const slash = path.lastIndexOf('/')
    const folder = find(path.slice(0, slash))
    if (folder === undefined) return
    const name = path.slice(slash + 1)
    if (node === undefined) folder.entries.delete(name)
    else folder.entries.set(name, node)
    folder.changes.push({ at, name, node })
  }

  function written(node: Node | undefined, at: number): void {
    if (node !== undefined) node.writtenAt = at
  }

  function synced({ arguments: text, began }: SystemCall): void {
    const node = descriptors.get(Number.parseInt(text, 10))?.node
    if (node === undefined) return
    node.syncedFrom = Math.max(node.syncedFrom, began)
    for (const { at, name, node: entry } of node.changes) {
      if (at > began) continue
      if (entry === undefined) node.durableEntries.delete(name)
      else node.durableEntries.set(name, entry)
    }
    node.changes = node.changes.filter(({ at }) => at > began)
  }

  /** Paths among the arguments, in order; `*at` calls name the folder before each. */
  function pathsOf({ name, arguments: text }: SystemCall): string[] {
    const found: string[] = []
    const isAt = /at2?$/.test(name) && name !== 'creat'
    for (const match of text.matchAll(/(?:(AT_FDCWD|\d+)(?:<[^>]*>)?, )?"((?:[^"\\]|\\.)*)"/g)) {
      const folder =
        isAt && match[1] !== undefined && match[1] !== 'AT_FDCWD' ? descriptors.get(Number(match[1]))?.path : undefined
      found.push(absolute(match[2]!, folder))
    }
    return found
  }

  function opened(call: SystemCall): void {
    const [path] = pathsOf(call)
    if (path === undefined) return
    const isCreation = call.name === 'creat' || call.arguments.includes('O_CREAT')
    const isNew = isCreation && find(path) === undefined && partsOf(path) !== undefined
    if (isNew) set(path, newNode(false), call.ended)
    const node = find(path)
    if (!isNew && call.arguments.includes('O_TRUNC')) written(node, call.ended)
    descriptors.set(call.result, { node, path })
  }

  const players: Record<string, (call: SystemCall) => void> = {
    close: ({ arguments: text }) => void descriptors.delete(Number.parseInt(text, 10)),
    fsync: synced,
    fdatasync: synced,
  }
  for (const name of ['open', 'openat', 'creat']) players[name] = opened
  for (const name of ['mkdir', 'mkdirat']) players[name] = (call) => set(pathsOf(call)[0]!, newNode(true), call.ended)
  for (const name of ['unlink', 'unlinkat', 'rmdir'])
    players[name] = (call) => set(pathsOf(call)[0]!, undefined, call.ended)
  for (const name of ['link', 'linkat'])
    players[name] = (call) => {
      const [from, to] = pathsOf(call) as [string, string]
      set(to, find(from), call.ended)
    }
  for (const name of ['rename', 'renameat', 'renameat2'])
    players[name] = (call) => {
      const [from, to] = pathsOf(call) as [string, string]
      const node = find(from)
      set(from, undefined, call.ended)
      set(to, node, call.ended)
    }
  for (const name of [
    'write',
    'pwrite64',
    'writev',
    'pwritev',
    'ftruncate',
    'fallocate',
    'fsetxattr',
    'fchmod',
    'fchown',
  ])
    players[name] = ({ arguments: text, ended }) => written(descriptors.get(Number.parseInt(text, 10))?.node, ended)
  for (const name of ['setxattr', 'lsetxattr', 'chmod', 'fchmodat', 'chown', 'fchownat'])
    players[name] = (call) => written(find(pathsOf(call)[0]!), call.ended)

  return {
    play(call) {
      if (call.result >= 0) players[call.name]?.(call)
    },
    missing(path) {
      let node = top
      let reached = root
      for (const name of partsOf(path) ?? []) {
        reached = `${reached}/${name}`
        const next = node.durableEntries.get(name)
        if (next === undefined) return `the name ${reached}`
        node = next
      }
      if (!node.isFolder && node.writtenAt > node.syncedFrom) return `the content of ${reached}`
      return find(path) === node ? undefined : `what ${reached} is now`
    },
    couldBeThere(path) {
      const parts = partsOf(path) ?? []
      const nodes = parts.reduce<Node | undefined>((node, name) => node?.durableEntries.get(name), top)
      return nodes !== undefined || find(path) !== undefined
    },
  }
}
