/** Configuration: one YAML file with a schema. The composition root reads it once, at start, and nobody else does. */
import { chown, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isMap, isScalar, parseDocument, stringify, type Document } from 'yaml'
import { z } from 'zod'
import { foundationFaults } from './errors.ts'
import { writeFileDurable } from './files.ts'

export interface ReadConfigOptions {
  home: string
  /** Default: HOME/cygnet.yaml, which may be absent. A file that is named must be there. */
  file?: string
  /** From the command line; they win. `undefined` members do not count. */
  overrides?: Record<string, unknown>
}

/** The effective configuration: defaults of the schema, then the file, then the overrides. Unknown keys are refused. */
export async function readConfig<Schema extends z.ZodObject>(
  schema: Schema,
  { home, file, overrides = {} }: ReadConfigOptions,
): Promise<z.output<Schema>> {
  const path = file ?? join(home, 'cygnet.yaml')
  const written = await readYaml(path, file !== undefined)
  const result = schema.strict().safeParse(merged(written, overrides))
  if (result.success) return result.data as z.output<Schema>
  const errors = result.error.issues.map((issue) => ({ path: issue.path.join('.') || '(top)', message: issue.message }))
  throw foundationFaults.invalidConfig(`${path}: ${errors[0]!.path}: ${errors[0]!.message}`, {
    hint: "'cygnet config print' shows what can be set.",
    extra: { errors },
  })
}

async function readYaml(path: string, mustExist: boolean): Promise<Record<string, unknown>> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT' && !mustExist) return {}
    throw foundationFaults.invalidConfig(`${path} cannot be read.`, { cause })
  }
  const document = parseDocument(text, { prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) throw foundationFaults.invalidConfig(`${path}: ${error.message}`, { cause: error })
  const value = document.toJS() as unknown
  if (value === null || value === undefined) return {}
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw foundationFaults.invalidConfig(`${path} must hold 'name: value' lines.`)
  }
  return value as Record<string, unknown>
}

/** What stands at the top of the file is about the whole of it, not only about its first section. */
function keepComment(document: Document, [name]: string[]): void {
  const first = isMap(document.contents) ? document.contents.items[0] : undefined
  const key = first?.key
  if (!isScalar(key) || key.value !== name) return
  const comments = [document.commentBefore, key.commentBefore].filter((comment) => typeof comment === 'string')
  if (comments.length > 0) document.commentBefore = comments.join('\n')
}

/**
 * Changes settings in a YAML file, durably and at once; comments and everything else stay as they were written. A value
 * of `undefined` takes the setting out. The file is made if it is not there.
 */
export async function editConfig(path: string, changes: { path: string[]; value: unknown }[]): Promise<void> {
  const place = await realpath(path).catch(() => path)
  const present = await stat(place).catch(() => undefined)
  const document = parseDocument(present === undefined ? '' : await readFile(place, 'utf8'))
  const [error] = document.errors
  if (error !== undefined) throw foundationFaults.invalidConfig(`${path}: ${error.message}`, { cause: error })
  for (const { path: setting, value } of changes) {
    if (value !== undefined) document.setIn(setting, value)
    else if (document.hasIn(setting)) {
      document.deleteIn(setting)
      const above = setting.slice(0, -1)
      const section = document.getIn(above)
      if (isMap(section) && section.items.length === 0) {
        keepComment(document, above)
        document.deleteIn(above)
      }
    }
  }
  let text = document.toString({ lineWidth: 0 })
  if (document.contents === null || (isMap(document.contents) && document.contents.items.length === 0)) {
    // Nothing is set any more; what somebody wrote about it stays.
    const comments = [document.commentBefore, document.contents?.commentBefore, document.comment]
    text = comments
      .filter((comment) => typeof comment === 'string')
      .flatMap((comment) => comment.split('\n').map((line) => `#${line}\n`))
      .join('')
  }
  await writeFileDurable(place, text, { mode: (present?.mode ?? 0o644) & 0o777 })
  if (present !== undefined && present.uid !== process.getuid?.()) await chown(place, present.uid, present.gid)
}

function merged(below: Record<string, unknown>, above: Record<string, unknown>): Record<string, unknown> {
  const result = { ...below }
  for (const [name, value] of Object.entries(above)) {
    if (value === undefined) continue
    const present = result[name]
    result[name] = isRecord(value) && isRecord(present) ? merged(present, value) : value
  }
  return result
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const secretName = /secret|password|passphrase|token|privatekey|accesskey|credential/i

/** The effective configuration as YAML; what is named like a secret, or is a password inside a URL, is hidden. */
export function printConfig(config: Record<string, unknown>): string {
  return stringify(withoutSecrets(config), { lineWidth: 0 })
}

/** A copy of the configuration that may be shown to anybody. */
export function withoutSecrets(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, name))
  if (isRecord(value))
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withoutSecrets(inner, key)]))
  if (value === undefined || value === null || value === '') return value
  // Where a secret is kept is none.
  if (secretName.test(name) && !name.endsWith('File')) return '(hidden)'
  if (typeof value !== 'string') return value
  return value.replace(/(:\/\/[^:/@\s]*:)\S+@/, '$1(hidden)@').replace(/([?&](?:ssl)?password=)[^&\s]*/gi, '$1(hidden)')
}

/** One line per setting: its path, its default and what it is, for the reference page and `config print --all`. */
export function describeConfig(schema: z.ZodType): { path: string; default: unknown; description: string }[] {
  return walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '')
}

type JsonSchema = { properties?: Record<string, JsonSchema>; default?: unknown; description?: string }

function walk(schema: JsonSchema, path: string): { path: string; default: unknown; description: string }[] {
  if (schema.properties === undefined) {
    return path === '' ? [] : [{ path, default: schema.default, description: schema.description ?? '' }]
  }
  return Object.entries(schema.properties).flatMap(([name, inner]) =>
    walk(inner, path === '' ? name : `${path}.${name}`),
  )
}
