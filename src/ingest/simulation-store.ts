/** For the simulation: a store as S3 shows it, with its change log and its plain files on the disk of the site. */
import { createHash } from 'node:crypto'
import type { SimulatedAnswer, SimulatedRequest, Simulation } from '../foundation/simulation.ts'
import type { Change, Storage } from '../storage/index.ts'

interface Stored {
  bytes: Buffer
  etag: string
}

const bucket = 'demo-raw'
const skewMs = 15 * 60_000
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex')

export type SimulatedStore = ReturnType<typeof createSimulatedStore>

/** What it acknowledged it keeps, whatever dies; `corrupting` of its objects are not the bytes it was sent. */
export function createSimulatedStore({ world, network }: Simulation, corrupting: number) {
  const site = world.machine('site')
  const objects = new Map<string, Stored>()
  const uploads = new Map<string, { key: string; parts: Map<number, Buffer> }>()
  const changes: Change[] = []
  const listeners = new Set<() => void>()
  let uploadNumber = 0

  const pathOf = (_bucket: string, key: string): string => `/data/${bucket}/${key}`

  function tell(type: Change['type'], key: string, sizeBytes: number, etag: string): void {
    const place = { bucket, experiment: 'demo', purpose: 'raw' as const, key }
    changes.push({ sequence: changes.length + 1, type, ...place, sizeBytes, etag, atMs: site.wallMs() })
    world.note(`store: ${type} ${key}`)
    for (const listener of listeners) world.after(world.chance.next() * 5, 'the index changed', listener, 'nobody')
  }

  /** Create-only: undefined when there is one. */
  function create(key: string, sent: Buffer): string | undefined {
    if (objects.has(key)) return undefined
    const bytes = Buffer.from(sent)
    if (bytes.length > 0 && world.chance.of(corrupting)) {
      world.fault(`the store keeps other bytes of ${key}`)
      const at = world.chance.between(0, bytes.length - 1)
      bytes[at] = bytes[at]! ^ 1
    }
    const etag = md5(sent)
    objects.set(key, { bytes, etag })
    const path = pathOf(bucket, key)
    site.disk.makeFolders(path.slice(0, path.lastIndexOf('/')))
    const file = site.disk.find(path) ?? site.disk.create(path)
    file.bytes = bytes
    file.modifiedMs = site.wallMs() + world.nowMs / 1e6
    file.syncedBytes = Buffer.from(bytes)
    settle(path)
    tell('created', key, bytes.length, etag)
    return etag
  }

  /** Its folders are synced before it answers. */
  function settle(path: string): void {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      const folder = site.disk.find(at)
      if (folder?.kind === 'folder') folder.undo = []
    }
    site.disk.get('/', 'sync').undo = []
  }

  /** A manager removes what is wrong. */
  function remove(key: string): void {
    const stored = objects.get(key)!
    objects.delete(key)
    site.disk.remove(pathOf(bucket, key))
    settle(pathOf(bucket, key))
    tell('deleted', key, stored.bytes.length, stored.etag)
  }

  function serve({ method, path, headers, body }: SimulatedRequest): SimulatedAnswer {
    const address = new URL(path, 'http://store')
    const key = decodeURIComponent(address.pathname).split('/').slice(2).join('/')
    const query = address.searchParams
    const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(headers['x-amz-date'] ?? '')!
    const [year, month, day, hour, minute, second] = stamp.slice(1).map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    if (Math.abs(Date.UTC(year, month - 1, day, hour, minute, second) - site.wallMs()) > skewMs)
      return refused(403, 'RequestTimeTooSkewed')
    if (createHash('sha256').update(body).digest('hex') !== headers['x-amz-content-sha256'])
      return refused(400, 'XAmzContentSHA256Mismatch')
    if (site.disk.full && method !== 'GET' && method !== 'HEAD') return refused(507, 'InsufficientStorage')
    const uploadId = query.get('uploadId')
    if (method === 'GET' && query.has('uploads')) {
      const open = [...uploads].filter(([, upload]) => upload.key === query.get('prefix'))
      const rows = open.map(([id, upload]) => `<Upload><Key>${upload.key}</Key><UploadId>${id}</UploadId></Upload>`)
      return answer(200, rows.join(''))
    }
    if (method === 'POST' && query.has('uploads')) {
      const id = `upload-${(uploadNumber += 1)}`
      uploads.set(id, { key, parts: new Map() })
      return answer(200, `<UploadId>${id}</UploadId>`)
    }
    if (uploadId !== null) {
      const upload = uploads.get(uploadId)
      if (upload === undefined) return refused(404, 'NoSuchUpload')
      if (method === 'DELETE') {
        uploads.delete(uploadId)
        return answer(204, '')
      }
      if (method === 'PUT') {
        upload.parts.set(Number(query.get('partNumber')), body)
        return answer(200, '', { etag: `"${md5(body)}"` })
      }
      const wanted = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>"(\w+)"/g)]
      const parts = wanted.map(([, number, etag]) => ({ bytes: upload.parts.get(Number(number)), etag }))
      if (parts.some(({ bytes, etag }) => bytes === undefined || md5(bytes) !== etag))
        return refused(400, 'InvalidPart')
      const etag = create(key, Buffer.concat(parts.map(({ bytes }) => bytes!)))
      if (etag === undefined) return refused(412, 'PreconditionFailed')
      uploads.delete(uploadId)
      return answer(200, `<ETag>"${etag}"</ETag>`)
    }
    if (method === 'PUT') {
      const etag = create(key, body)
      return etag === undefined ? refused(403, 'AccessDenied') : answer(200, '', { etag: `"${etag}"` })
    }
    // A DAQ key may not read.
    return refused(403, 'AccessDenied')
  }

  const position = () => ({ epoch: 'one', sequence: changes.length })
  return {
    bucket,
    objects,
    changes,
    remove,
    /** Serves as long as its process lives; a day-old upload is forgotten by the store now and then. */
    async main(): Promise<never> {
      network.listen('http://store', (request) => world.io(`store ${request.method}`, () => serve(request)))
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 60_000))
        if (world.chance.of(0.1)) uploads.clear()
      }
    },
    /** What the follower of changes and the receiver need of the real one. */
    asStorage(): Storage {
      const storage: Pick<Storage, 'changes' | 'lastChange' | 'listBuckets' | 'onChange' | 'pathOf'> = {
        changes({ since, limit = 200 } = {}) {
          const items = changes.slice(since?.sequence ?? 0).slice(0, limit)
          const sequence = items.at(-1)?.sequence ?? since?.sequence ?? 0
          return { epoch: 'one', items, next: { epoch: 'one', sequence }, reset: false }
        },
        lastChange: position,
        listBuckets: () => [],
        onChange(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
        pathOf,
      }
      return storage as Storage
    },
  }
}

function answer(status: number, text: string, headers: Record<string, string> = {}): SimulatedAnswer {
  return { status, headers, body: Buffer.from(text) }
}

function refused(status: number, code: string): SimulatedAnswer {
  return answer(status, `<Error><Code>${code}</Code><Message>simulated</Message></Error>`)
}
