/** `cygnet data ls|put|get|rm`: through the API, as the person who is signed in. */
import type { Command } from 'commander'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { addressOfData, experimentOf } from './areas.ts'
import { storageContract, type EntryAnswer, type ObjectAnswer } from './contract.ts'
import { storageFaults } from './errors.ts'

interface Where {
  experiment?: string
}

export function registerDataCommands(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(storageContract)
  const data = program.command('data').description('files of an experiment: raw/..., reco/..., work/... or BUCKET/...')
  const verb = (name: string, summary: string, example: string) =>
    addVerb(data, name, { summary, example }).option(
      '-e, --experiment <name>',
      'the experiment; may be left out if you belong to only one',
    )

  verb('ls [path]', 'list folders and files; without a path, the buckets', 'cygnet data ls raw/lime/sim/')
    .option('-r, --recursive', 'all files below it')
    .action(async (path: string | undefined, options: Where & { recursive?: boolean }) => {
      if (path === undefined) {
        const page = await api().listBuckets({
          params: { experiment: await experimentOf(options.experiment, context) },
        })
        output.list(page, ['name', 'purpose', { title: 'path', value: (bucket) => bucket.posixPath }])
        return
      }
      const { bucket, key } = await addressOfData(path, options.experiment, context)
      output.list({ items: await listAll(bucket, key, options.recursive ?? false) }, [
        { title: 'name', value: (entry) => (options.recursive ? entry.key : entry.name) },
        {
          title: 'size',
          value: (entry) => (entry.kind === 'object' ? printBytes(entry.sizeBytes) : ''),
          align: 'right',
        },
        {
          title: 'modified',
          value: (entry) =>
            entry.kind === 'object' ? `${new Date(entry.modifiedMs).toISOString().slice(0, 19)}Z` : '',
        },
      ])
    })

  verb(
    'put <file> <path>',
    'upload a file; its checksum is compared with what was stored',
    'cygnet data put plot.png work/plots/',
  ).action(async (file: string, path: string, options: Where) => {
    const { bucket, key: given } = await addressOfData(path, options.experiment, context)
    const key = given === '' || given.endsWith('/') ? `${given}${basename(file)}` : given
    const { size } = await stat(file).catch((cause: unknown) => {
      throw storageFaults.invalidArgument(`${file} cannot be read.`, { cause })
    })
    const hash = createHash('sha256')
    const bytes = Readable.toWeb(
      Readable.from(counted(createReadStream(file, { highWaterMark: 1 << 20 }), hash, 0, size, 'sent')),
    )
    const stored = await api().writeObject(
      { params: { bucket }, query: { key } },
      { bytes: bytes as unknown as BodyInit, headers: { 'content-length': `${size}` } },
    )
    output.progress('')
    check(stored, hash.digest('hex'))
    if (output.isJson) output.json(stored)
    else output.line(`stored ${bucket}/${key}, ${printBytes(stored.sizeBytes)}, checksum verified`)
  })

  verb(
    'get <path> [file]',
    'download a file; continues where an earlier download was cut, compares the checksum',
    'cygnet data get raw/lime/sim/run00012.mid',
  ).action(async (path: string, file: string | undefined, options: Where) => {
    const { bucket, key } = await addressOfData(path, options.experiment, context)
    const facts = await api().showObject({ params: { bucket }, query: { key, hash: 'true' } })
    const target = await targetOf(file, basename(key))
    const got = await download(facts, target)
    output.progress('')
    if (output.isJson) output.json({ ...facts, path: target })
    else
      output.line(
        `${target}, ${printBytes(facts.sizeBytes)}${got.resumedBytes > 0 ? ` (${printBytes(got.resumedBytes)} were there already)` : ''}, checksum verified`,
      )
  })

  verb('rm <path>', 'delete a file; with --recursive all files below a prefix', 'cygnet data rm work/old/result.root')
    .option('-r, --recursive', 'all files below it')
    .action(async (path: string, options: Where & { recursive?: boolean }) => {
      const { bucket, key } = await addressOfData(path, options.experiment, context)
      if (!options.recursive) await api().showObject({ params: { bucket }, query: { key } })
      const keys = options.recursive ? (await listAll(bucket, key, true)).map((entry) => entry.key) : [key]
      for (const [index, one] of keys.entries()) {
        if (keys.length > 1) output.progress(`deleted ${index} of ${keys.length}`)
        await api().deleteObject({ params: { bucket }, query: { key: one } })
      }
      output.progress('')
      if (output.isJson) output.json({ deleted: keys.map((one) => `${bucket}/${one}`) })
      else output.line(keys.length === 1 ? `deleted ${bucket}/${keys[0]}` : `deleted ${keys.length} files`)
    })

  async function listAll(bucket: string, prefix: string, recursive: boolean): Promise<EntryAnswer[]> {
    const entries: EntryAnswer[] = []
    for (let cursor: string | undefined; ;) {
      const query = {
        prefix,
        limit: 1000,
        recursive: recursive ? 'true' : 'false',
        ...(cursor === undefined ? {} : { cursor }),
      }
      const page = await api().listObjects({ params: { bucket }, query })
      entries.push(...page.items)
      if (page.nextCursor === null) return entries
      cursor = page.nextCursor
    }
  }

  /** Into `target.part`, which gets its name when the checksum is right; what an earlier attempt left there is kept. */
  async function download(facts: ObjectAnswer, target: string): Promise<{ resumedBytes: number }> {
    const part = `${target}.part`
    const hash = createHash('sha256')
    await using file = await open(part, 'a+')
    let resumedBytes = (await file.stat()).size
    if (resumedBytes > facts.sizeBytes) {
      await file.truncate(0)
      resumedBytes = 0
    }
    for await (const chunk of file.createReadStream({ start: 0, autoClose: false })) hash.update(chunk as Buffer)
    if (resumedBytes < facts.sizeBytes) {
      const response = await api().readObject(
        { params: { bucket: facts.bucket }, query: { key: facts.key } },
        { headers: { range: `bytes=${resumedBytes}-`, 'if-match': `"${facts.etag}"` } },
      )
      const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0])
      for await (const chunk of counted(body, hash, resumedBytes, facts.sizeBytes, 'received'))
        await file.appendFile(chunk)
    }
    await file.sync()
    const digest = hash.digest('hex')
    if (digest !== facts.sha256) {
      await file.truncate(0)
      throw storageFaults.badDigest(
        `${facts.bucket}/${facts.key} arrived with the SHA-256 ${digest}, not ${facts.sha256}.`,
        {
          hint: 'The partial file was emptied; download again.',
        },
      )
    }
    await rename(part, target)
    return { resumedBytes }
  }

  async function* counted(
    source: AsyncIterable<Buffer>,
    hash: ReturnType<typeof createHash>,
    from: number,
    totalBytes: number,
    word: string,
  ): AsyncGenerator<Buffer> {
    let sizeBytes = from
    let saidMs = performance.now()
    for await (const chunk of source) {
      hash.update(chunk)
      sizeBytes += chunk.length
      if (performance.now() - saidMs > 500) {
        output.progress(`${word} ${printBytes(sizeBytes)} of ${printBytes(totalBytes)}`)
        saidMs = performance.now()
      }
      yield chunk
    }
  }
}

function check(stored: ObjectAnswer, sha256: string): void {
  if (stored.sha256 === sha256) return
  throw storageFaults.badDigest(
    `The store holds ${stored.bucket}/${stored.key} with the SHA-256 ${stored.sha256}, the file has ${sha256}.`,
  )
}

async function targetOf(given: string | undefined, name: string): Promise<string> {
  if (given === undefined) return name
  const isFolder = given.endsWith('/') || ((await stat(given).catch(() => undefined))?.isDirectory() ?? false)
  return isFolder ? join(given, name) : given
}

/** '10.5 MB': powers of 1000, three digits. */
export function printBytes(sizeBytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = sizeBytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`
}
