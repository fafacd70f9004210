/** Where a browser goes after a sign-in: a page of this app from our own list, whatever was asked for. */

const firstSegments = new Set(['', 'me', 'e', 'site', 'device', 'status', 'join'])

/** The path if it is one of our pages, else `/`. Only letters that need no second reading: no `%`, `\`, `:`, `@`, `#`. */
export function ownPage(next: string | undefined): string {
  if (next === undefined || next.length > 500 || !/^\/[\w./~-]*(\?[\w.~=&,-]*)?$/.test(next)) return '/'
  const segments = next.split('?', 1)[0]!.slice(1).split('/')
  const plain = segments.every(
    (segment, index) => segment !== '.' && segment !== '..' && (segment !== '' || index === 0),
  )
  if (plain && (segments[0] !== '' || segments.length === 1) && firstSegments.has(segments[0]!)) return next
  // The one page besides: an application waits for its confirmation.
  return /^\/sign-in\?interaction=[\w-]{1,64}$/.test(next) ? next : '/'
}
