/** Keys as folders: pure text, no bytes. */

/** The folders above a prefix: `a/b/` gives a → `a/`, b → `a/b/`. */
export function crumbsOf(prefix: string): Array<{ name: string; prefix: string }> {
  const parts = prefix.split('/').filter((part) => part !== '')
  return parts.map((name, index) => ({ name, prefix: `${parts.slice(0, index + 1).join('/')}/` }))
}

/** The folder part of a prefix and the beginning of a name typed into the filter. */
export function splitPrefix(prefix: string): { folder: string; start: string } {
  const cut = prefix.lastIndexOf('/') + 1
  return { folder: prefix.slice(0, cut), start: prefix.slice(cut) }
}

export function s3AddressOf(bucket: string, key: string): string {
  return `s3://${bucket}/${key}`
}

export function shellQuoted(text: string): string {
  return /^[\w./:@=+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
