/** If-Match and its three sisters on reads, in the order of RFC 9110 section 13.2.2. */
import { storageFaults } from '../errors.ts'
import type { ObjectInfo } from '../model.ts'

type Header = (name: string) => string | undefined

/** Throws 'storage.precondition_failed' (412) or 'storage.not_modified' (304). `prefix` for the headers of a copy source. */
export function checkConditions(header: Header, info: Pick<ObjectInfo, 'etag' | 'modifiedMs'>, prefix = ''): void {
  const modifiedSeconds = Math.floor(info.modifiedMs / 1000)
  const ifMatch = header(`${prefix}if-match`)
  const ifUnmodified = seconds(header(`${prefix}if-unmodified-since`))
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, info.etag)) throw storageFaults.preconditionFailed('The object has another ETag.')
  } else if (ifUnmodified !== undefined && modifiedSeconds > ifUnmodified) {
    throw storageFaults.preconditionFailed('The object has been modified since.')
  }
  const ifNoneMatch = header(`${prefix}if-none-match`)
  const ifModified = seconds(header(`${prefix}if-modified-since`))
  const unchanged = prefix === '' ? storageFaults.notModified : storageFaults.preconditionFailed
  if (ifNoneMatch !== undefined) {
    if (matches(ifNoneMatch, info.etag)) throw unchanged('The object has this ETag.')
  } else if (ifModified !== undefined && modifiedSeconds <= ifModified) {
    throw unchanged('The object has not been modified since.')
  }
}

export function matches(header: string, etag: string): boolean {
  return header.split(',').some((one) => {
    const wanted = one
      .trim()
      .replace(/^W\//, '')
      .replace(/^"(.*)"$/, '$1')
    return wanted === '*' || wanted === etag
  })
}

function seconds(date: string | undefined): number | undefined {
  if (date === undefined) return undefined
  const parsedMs = Date.parse(date)
  return Number.isNaN(parsedMs) ? undefined : Math.floor(parsedMs / 1000)
}
