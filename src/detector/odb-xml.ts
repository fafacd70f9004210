/**
 * The ODB as MIDAS writes it when told to dump XML: `<odb>` of `<dir name>`, `<key name type>` and `<keyarray name type>`
 * with `<value>`s (MIDAS, odb.cxx, db_save_xml). Nothing else of XML is read: no document types, no entities but the
 * five of the standard and numbered ones.
 */
import { detectorFaults } from './errors.ts'
import type { Odb, OdbValue } from './odb-text.ts'

const emptyFolder = (): Odb => Object.create(null) as Odb
const deepest = 100
const tag = /<(\/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>/y
const attribute = /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g
const aside = /<\?[\s\S]*?\?>|<!--[\s\S]*?-->/y
const wholeTypes = /^(?:U?INT(?:8|16|32|64)|S?BYTE|D?WORD|SHORT|INT|BITFIELD|QWORD)$/
const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

interface Open {
  element: string
  name: string
  type: string
  folder: Odb
  list: OdbValue[]
}

/** Throws `badOdb` with the character where the text stops making sense. */
export function parseOdbXml(text: string): Odb {
  let at = 0
  const fail = (what: string): never => {
    throw detectorFaults.badOdb(`The dump stops making sense at character ${at}: ${what}.`, {
      extra: { position: at, format: 'xml' },
    })
  }
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found === null) return undefined
    at += found[0].length
    return found
  }
  /** Up to the next tag, or to the end. */
  const words = (): string => {
    const end = text.indexOf('<', at)
    const start = at
    at = end < 0 ? text.length : end
    return text.slice(start, at)
  }

  const stack: Open[] = []
  let root: Odb | undefined
  for (;;) {
    const top = stack.at(-1)
    const content = words()
    if (top?.element !== 'key' && top?.element !== 'value' && content.trim() !== '')
      return fail('text stands where a folder or a key was expected')
    if (at === text.length) break
    if (match(aside)) continue
    const found = match(tag)
    if (found === undefined) return fail('a tag was expected')
    const [, closes, element, attributes, closesAtOnce] = found
    if (closes === '/') {
      const open = stack.pop()
      if (open === undefined || open.element !== element) return fail(`</${element}> closes nothing`)
      const parent = stack.at(-1)
      if (open.element === 'value') parent?.list.push(valueOf(decoded(content), parent.type))
      else if (parent !== undefined) parent.folder[open.name] = valueOfElement(open, decoded(content))
      continue
    }
    const named = attributesOf(attributes!)
    if (stack.length === 0) {
      if (element !== 'odb' || root !== undefined) return fail(`<odb> was expected, not <${element}>`)
      root = emptyFolder()
      if (closesAtOnce === '') stack.push({ element, name: '', type: '', folder: root, list: [] })
      continue
    }
    if (stack.length > deepest) return fail('folders are nested too deep')
    if (!isInside(element!, top!.element)) return fail(`<${element}> does not stand in <${top!.element}>`)
    const open: Open = {
      element: element!,
      name: named.name ?? '',
      type: named.type ?? '',
      folder: emptyFolder(),
      list: [],
    }
    if (closesAtOnce === '') stack.push(open)
    else if (element === 'value') top!.list.push(valueOf('', top!.type))
    else top!.folder[open.name] = valueOfElement(open, '')
  }
  if (stack.length > 0) fail(`<${stack.at(-1)!.element}> does not end`)
  return root ?? fail('<odb> was expected')
}

function isInside(element: string, parent: string): boolean {
  if (element === 'value') return parent === 'keyarray'
  return /^(dir|key|keyarray)$/.test(element) && /^(odb|dir)$/.test(parent)
}

function valueOfElement({ element, type, folder, list }: Open, words: string): OdbValue {
  if (element === 'dir') return folder
  return element === 'keyarray' ? list : valueOf(words, type)
}

/** NaN and infinities stay words, as in the JSON dump; a decimal comma of an Italian locale is a point. */
function valueOf(words: string, type: string): OdbValue {
  const plain = words.trim()
  if (type === 'BOOL') return /^(y|yes|1|true)$/i.test(plain)
  if (wholeTypes.test(type)) {
    const number = plain === '' ? Number.NaN : Number(plain)
    return Number.isSafeInteger(number) ? number : plain
  }
  if (type === 'FLOAT' || type === 'DOUBLE') {
    if (/^[+-]?nan/i.test(plain)) return 'NaN'
    if (/^[+-]?inf/i.test(plain)) return plain.startsWith('-') ? '-Infinity' : 'Infinity'
    const number = plain === '' ? Number.NaN : Number(plain.replace(',', '.'))
    return Number.isFinite(number) ? number : plain
  }
  return words
}

function attributesOf(text: string): Record<string, string> {
  const found: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [, name, double, single] of text.matchAll(attribute)) found[name!] = decoded(double ?? single ?? '')
  return found
}

function decoded(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,8}));/g, (whole, decimal, hex, name: string) => {
    if (name !== undefined) return entities[name] ?? whole
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
