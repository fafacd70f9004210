/**
 * The files of a script campaign: checked when it is made, kept as objects whose keys hold the hash of the recipe, and
 * compared with their sums each time they run. Whoever changes an object in the work bucket changes no campaign.
 */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { mostScriptBytes } from './campaign-contract.ts'
import type { CampaignScript, NewScript } from './campaign-contract.ts'
import { reconstructionFaults } from './errors.ts'
import { pathIfThere } from './product-store.ts'
import type { ProductStore } from './product-store.ts'

/** What {name} in the command stands for, when a run is processed. */
export const placeholders = ['raw', 'pedestal', 'truth', 'out', 'run', 'workers'] as const
export type Placeholder = (typeof placeholders)[number]

/** Letters, digits and . _ + - in each part; no hidden part, nothing that climbs. */
const partPattern = /^[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}$/

/** True for a relative path of plain names, at most eight folders deep: safe as a key, a file and an argument. */
export function isPlainPath(path: string): boolean {
  const parts = path.split('/')
  return path.length <= 200 && parts.length <= 9 && parts.every((part) => partPattern.test(part))
}

/** Where the files of a person's script live, in the experiment's work bucket. */
function prefixOf(campaign: string, version: string): string {
  return `campaigns/${campaign}/${version}`
}

interface CheckedScript {
  script: CampaignScript & { version: string }
  contents: Buffer[]
}

/** Checks a script without storing anything. Throws `badRecipe`, `badScriptFile`, `scriptTooLarge`. */
export function checkScript(experiment: string, campaign: string, given: NewScript): CheckedScript {
  for (const argument of given.command) checkArgument(argument)
  const contents: Buffer[] = []
  const files: CampaignScript['files'] = []
  let bytes = 0
  for (const { path, contentBase64, executable } of given.files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    if (!isPlainPath(path)) {
      throw reconstructionFaults.badScriptFile(`'${path}' cannot be the path of a file of a script.`, {
        hint: 'Use a path below the folder, of letters, digits and . _ + -, no part beginning with a dot.',
      })
    }
    const clash = files.find((file) => file.path === path || path.startsWith(`${file.path}/`))
    if (clash !== undefined) {
      throw reconstructionFaults.badScriptFile(`'${path}' and '${clash.path}' cannot both be there.`)
    }
    const content = Buffer.from(contentBase64, 'base64')
    bytes += content.length
    if (bytes > mostScriptBytes) {
      throw reconstructionFaults.scriptTooLarge(
        `The files of a script may have ${mostScriptBytes / 2 ** 20} MiB in all.`,
        {
          hint: 'Data belongs into a bucket; a script gets the run, its truth and the pedestal map.',
        },
      )
    }
    files.push({ path, sizeBytes: content.length, sha256: sha256Of(content), executable })
    contents.push(content)
  }
  const { command, environment, gitCommit, cores, memoryMiB, walltimeSeconds } = given
  const sums = files.map(({ path, sha256, executable }) => [path, sha256, executable])
  const hash = createHash('sha256').update(JSON.stringify({ command, environment, gitCommit, sums }))
  const version = `script-${hash.digest('hex').slice(0, 12)}`
  const bucket = `${experiment}-work`
  const prefix = prefixOf(campaign, version)
  const script = { command, environment, files, bucket, prefix, gitCommit, cores, memoryMiB, walltimeSeconds, version }
  return { script, contents }
}

/** Puts the files where `script` says; again is harmless. */
export async function storeScript({ script, contents }: CheckedScript, storage: ProductStore): Promise<void> {
  for (const [index, { path, sizeBytes }] of script.files.entries()) {
    await storage.putObject({
      bucket: script.bucket,
      key: `${script.prefix}/${path}`,
      body: one(contents[index]!),
      sizeBytes,
      contentType: 'application/octet-stream',
      may: 'replace',
    })
  }
}

async function* one(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content
}

/** The files as they were when the campaign was made. Throws `scriptFilesChanged` when one is not. */
export async function readScript(
  script: CampaignScript,
  storage: ProductStore,
): Promise<{ path: string; content: Buffer; executable: boolean }[]> {
  const files = []
  for (const { path, sizeBytes, sha256, executable } of script.files) {
    const place = `${script.bucket}/${script.prefix}/${path}`
    const source = await pathIfThere(storage, script.bucket, `${script.prefix}/${path}`)
    const isOfSize = source !== undefined && (await stat(source)).size === sizeBytes
    const content = isOfSize ? await readFile(source) : undefined
    if (content === undefined || sha256Of(content) !== sha256) {
      throw reconstructionFaults.scriptFilesChanged(`${place} is not the file that the campaign was made with.`, {
        hint: 'Make the next version of the campaign from your files: cygnet reco campaign change NAME --script …',
      })
    }
    files.push({ path, content, executable })
  }
  return files
}

/** The command of one run. */
export function commandFor(command: readonly string[], values: Readonly<Record<Placeholder, string>>): string[] {
  return command.map((argument) =>
    argument.replaceAll(/\{([a-z]+)\}/g, (whole, name: string) => values[name as Placeholder] ?? whole),
  )
}

function checkArgument(argument: string): void {
  if (argument.includes('\0')) throw reconstructionFaults.badRecipe('An argument of the command holds a NUL.')
  for (const [whole, name] of argument.matchAll(/\{([a-z]+)\}/g)) {
    if ((placeholders as readonly string[]).includes(name!)) continue
    throw reconstructionFaults.badRecipe(`${whole} in the command stands for nothing.`, {
      hint: `There are ${placeholders.map((each) => `{${each}}`).join(' ')}.`,
    })
  }
}

function sha256Of(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
