/** Finds run references (`sim:2`) in free text. */
export interface TextPart {
  text: string
  reference?: string
}

const referencePattern = /(?<![\w:/-])([a-z][a-z0-9-]{1,31}:\d{1,9})(?![\w:])/g

export function splitReferences(text: string): TextPart[] {
  const parts: TextPart[] = []
  let position = 0
  for (const match of text.matchAll(referencePattern)) {
    if (match.index > position) parts.push({ text: text.slice(position, match.index) })
    parts.push({ text: match[0], reference: match[0] })
    position = match.index + match[0].length
  }
  if (position < text.length) parts.push({ text: text.slice(position) })
  return parts
}
