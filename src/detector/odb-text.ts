import { detectorFaults } from './errors.ts'
import { parseOdbXml } from './odb-xml.ts'

export type OdbValue = string | number | boolean | null | OdbValue[] | Odb
/** A folder of the online database. Without prototype, so that no key of a file can be mistaken for a method. */
export interface Odb {
  [key: string]: OdbValue
}

export type OdbFormat = 'json' | 'json-decimal-comma' | 'xml' | 'none' | 'unreadable'

const maxDepth = 100
/** A float as MIDAS prints it under a locale with decimal commas: one digit, comma, 7 or 16 digits, exponent. No other JSON has that. */
const commaFloat = /[0-9],[0-9]{7,17}e[+-][0-9]{2,3}/
const commaNumber = /-?[0-9],[0-9]{7,17}e[+-][0-9]{2,3}/y
const plainNumber = /[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?/y
const bareWord = /true|false|null|[+-]?nan|[+-]?inf(?:inity)?/iy

/**
 * Reads an ODB dump as MIDAS writes it in begin and end of run: XML, or JSON with or without its "K/key" metadata (left out of the answer; type 6 strings
 * "0x..." become numbers), also with the decimal commas of an Italian locale, NaN and infinity. NUL padding is allowed.
 * NaN and infinities stay words ('NaN', 'Infinity'), since JSON has no numbers for them.
 * Throws `badOdb` with the position where the text stops making sense.
 */
export function parseOdb(text: string): { odb: Odb; format: OdbFormat } {
  const end = text.indexOf('\0')
  const content = (end < 0 ? text : text.slice(0, end)).trim()
  if (content === '') return { odb: emptyOdb(), format: 'none' }
  if (content.startsWith('<')) return { odb: parseOdbXml(content), format: 'xml' }
  const decimalComma = commaFloat.test(content)
  const value = parseTolerant(content, decimalComma)
  if (!isFolder(value)) throw detectorFaults.badOdb('The dump is not a JSON object.')
  return { odb: withoutMetadata(value), format: decimalComma ? 'json-decimal-comma' : 'json' }
}

export const emptyOdb = (): Odb => Object.create(null) as Odb

export const isFolder = (value: OdbValue | undefined): value is Odb =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value at a path such as '/Runinfo/Run number'; undefined where there is none. */
export function odbAt(odb: Odb, path: string): OdbValue | undefined {
  let value: OdbValue | undefined = odb
  for (const part of path.split('/').filter((one) => one !== '')) {
    if (!isFolder(value) || !Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  return value
}

/** A JSON reader that also takes decimal commas, bare NaN and infinities, raw control characters in strings and a comma before a closing bracket. */
function parseTolerant(text: string, decimalComma: boolean): OdbValue {
  let at = 0
  const fail = (what: string): never => {
    throw detectorFaults.badOdb(`The dump stops making sense at character ${at}: ${what}.`, { extra: { position: at } })
  }
  const skipSpace = (): void => {
    while (at < text.length && text.charCodeAt(at) <= 32) at++
  }
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found) at += found.length
    return found
  }
  const string = (): string => {
    let result = ''
    let start = ++at
    for (;;) {
      const code = text.charCodeAt(at)
      if (Number.isNaN(code)) fail('a string does not end')
      if (code === 34) {
        result += text.slice(start, at++)
        return result
      }
      if (code !== 92) {
        at++
        continue
      }
      result += text.slice(start, at)
      const escape = text[at + 1]
      if (escape === 'u' && /^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) {
        result += String.fromCharCode(parseInt(text.slice(at + 2, at + 6), 16))
        at += 6
      } else {
        result += escapes[escape ?? ''] ?? escape ?? ''
        at += 2
      }
      start = at
    }
  }
  const value = (depth: number): OdbValue => {
    if (depth > maxDepth) fail('folders are nested too deep')
    skipSpace()
    const first = text[at]
    if (first === '"') return string()
    if (first === '{') {
      at++
      const folder = emptyOdb()
      for (skipSpace(); text[at] !== '}'; skipSpace()) {
        if (text[at] !== '"') fail('a key was expected')
        const key = string()
        skipSpace()
        if (text[at] !== ':') fail(`a colon was expected after ${JSON.stringify(key)}`)
        at++
        folder[key] = value(depth + 1)
        skipSpace()
        if (text[at] === ',') at++
        else if (text[at] !== '}') fail('a comma or the end of a folder was expected')
      }
      at++
      return folder
    }
    if (first === '[') {
      at++
      const list: OdbValue[] = []
      for (skipSpace(); text[at] !== ']'; skipSpace()) {
        list.push(value(depth + 1))
        skipSpace()
        if (text[at] === ',') at++
        else if (text[at] !== ']') fail('a comma or the end of a list was expected')
      }
      at++
      return list
    }
    const comma = decimalComma ? match(commaNumber) : undefined
    if (comma) return Number(comma.replace(',', '.'))
    const number = match(plainNumber)
    if (number) return Number(number)
    const word = match(bareWord)?.toLowerCase()
    if (word === 'true') return true
    if (word === 'false') return false
    if (word === 'null') return null
    if (word) return word.includes('nan') ? 'NaN' : word.startsWith('-') ? '-Infinity' : 'Infinity'
    return fail('a value was expected')
  }
  const result = value(0)
  skipSpace()
  if (at < text.length) fail('there is more after the end')
  return result
}

const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', '"': '"', '\\': '\\', '/': '/' }

/** Drops "K/key" objects and turns "0x..." texts of unsigned keys into numbers (all such texts where the dump has no metadata). */
function withoutMetadata(folder: Odb): Odb {
  const result = emptyOdb()
  for (const [key, value] of Object.entries(folder)) {
    if (key.endsWith('/key') && isFolder(value)) continue
    const metadata = folder[`${key}/key`]
    const isText = isFolder(metadata) && (metadata.type === 12 || metadata.type === 16)
    result[key] = isText ? value : withNumbers(value)
  }
  return result
}

function withNumbers(value: OdbValue): OdbValue {
  if (Array.isArray(value)) return value.map(withNumbers)
  if (isFolder(value)) return withoutMetadata(value)
  if (typeof value !== 'string' || !/^0x[0-9a-fA-F]{1,16}$/.test(value)) return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

export const mask = '***'
const secretKey =
  /pass(?:word|wd|phrase)|(?:^|[^a-z])(?:pass|pwd)(?:[^a-z]|$)|secret|token|credential|(?:api|private|access)[ _-]?key|bearer|cookie/i
const secretText =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----|\beyJ[\w-]{8,500}\.[\w-]{8,2000}\.|\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@]{0,100}:[^\s/@]{1,200}@|\b(?:password|passwd|pwd|secret|token)\s*[=:]\s*\S|\bAKIA[0-9A-Z]{16}\b/i

/**
 * A copy without secrets: texts and numbers under a key that looks like a password, token, secret or key material become '***', empty or not,
 * and so does any text that itself looks like one. Switches (booleans) stay: "https port passwords: true" is a setting.
 */
export function maskOdb(odb: Odb): Odb {
  const result = emptyOdb()
  for (const [key, value] of Object.entries(odb)) result[key] = masked(value, secretKey.test(key))
  return result
}

function masked(value: OdbValue, secret: boolean): OdbValue {
  if (Array.isArray(value)) return value.map((one) => masked(one, secret))
  if (isFolder(value)) {
    const result = emptyOdb()
    for (const [key, inner] of Object.entries(value)) result[key] = masked(inner, secret || secretKey.test(key))
    return result
  }
  if (typeof value === 'boolean' || value === null) return value
  return secret || (typeof value === 'string' && secretText.test(value)) ? mask : value
}
