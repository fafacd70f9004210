/**
 * The little XML that S3 speaks. Reading: elements and text only; a document type, entities of its own, processing
 * instructions, deep nesting or a flood of elements are refused before they cost anything.
 */
import { storageFaults } from '../errors.ts'

export interface XmlElement {
  name: string
  text: string
  children: XmlElement[]
}

const maxDepth = 8
const maxElements = 60_000

/** Throws 'storage.malformed_xml'. Namespaces and attributes are ignored. */
export function parseXml(source: string): XmlElement {
  const token =
    /<!--[\s\S]*?-->|<\?xml[^?]*\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/gy
  const root: XmlElement = { name: '', text: '', children: [] }
  const open = [root]
  let elements = 0
  let end = 0
  for (let match = token.exec(source); match !== null; match = token.exec(source)) {
    end = token.lastIndex
    const [, cdata, closing, name, , selfClosing, text] = match
    const current = open.at(-1)!
    if (cdata !== undefined) current.text += cdata
    else if (text !== undefined) current.text += unescape(text)
    else if (name !== undefined) {
      const local = name.slice(name.indexOf(':') + 1)
      if (closing === '/') {
        if (current.name !== local || open.length === 1) throw malformed('tags do not match')
        open.pop()
        continue
      }
      if (open.length > maxDepth) throw malformed('elements are nested too deeply')
      if ((elements += 1) > maxElements) throw malformed('there are too many elements')
      const element: XmlElement = { name: local, text: '', children: [] }
      current.children.push(element)
      if (selfClosing !== '/') open.push(element)
    }
  }
  if (end !== source.length || open.length !== 1 || root.children.length !== 1 || root.text.trim() !== '')
    throw malformed('the document is not well-formed')
  return root.children[0]!
}

export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text
}

const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescape(text: string): string {
  return text.replace(/&([^;&\s]{0,12});?/g, (all, name: string) => {
    const known = entities[name]
    if (known !== undefined && all.endsWith(';')) return known
    const code = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name)
    const point = code === null ? Number.NaN : Number.parseInt(code[1] ?? code[2]!, code[1] === undefined ? 10 : 16)
    if (!(point > 0 && point <= 0x10ffff) || !all.endsWith(';')) throw malformed('an entity is not known')
    return String.fromCodePoint(point)
  })
}

function malformed(reason: string): Error {
  return storageFaults.malformedXml(`The XML cannot be read: ${reason}.`)
}

type Content = string | number | boolean | undefined | Tree | readonly Tree[] | readonly string[]
export interface Tree {
  [name: string]: Content
}

export const xmlHead = '<?xml version="1.0" encoding="UTF-8"?>\n'
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** `{ Bucket: 'a', Contents: [{ Key: 'x' }] }` as a document; undefined members are left out, lists repeat their name. */
export function xmlDocument(name: string, tree: Tree | string, withNamespace = true): string {
  const inner = typeof tree === 'string' ? escapeXml(tree) : render(tree)
  return `${xmlHead}<${name}${withNamespace ? ` xmlns="${namespace}"` : ''}>${inner}</${name}>`
}

function render(tree: Tree): string {
  let text = ''
  for (const [name, content] of Object.entries(tree)) {
    if (content === undefined) continue
    for (const one of Array.isArray(content) ? (content as readonly (Tree | string)[]) : [content]) {
      text += `<${name}>${typeof one === 'object' ? render(one as Tree) : escapeXml(String(one))}</${name}>`
    }
  }
  return text
}

/** Control characters become references, as on AWS; a client that cannot read them asks for encoding-type=url. */
export function escapeXml(text: string): string {
  return special.test(text) ? text.replaceAll(everySpecial, escapeCharacter) : text
}

// oxlint-disable-next-line no-control-regex
const special = /[&<>"\u0000-\u0008\u000b-\u001f]/
const everySpecial = new RegExp(special, 'g')

function escapeCharacter(character: string): string {
  switch (character) {
    case '&':
      return '&amp;'
    case '<':
      return '&lt;'
    case '>':
      return '&gt;'
    case '"':
      return '&quot;'
    default:
      return `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`
  }
}
