/** The one-time code of a sign-in link stands in the fragment, which no server and no log ever sees. */
export function codeOfFragment(fragment: string): string | undefined {
  const code = new URLSearchParams(fragment.replace(/^#/, '')).get('code')
  return code === null || code === '' ? undefined : code
}

/** Where to go after signing in: a path of this app, never another site (`//evil`, `/\evil`, `https:…`). */
export function safeNext(search: string): string {
  const next = new URLSearchParams(search).get('next') ?? '/'
  return /^\/(?![/\\])/.test(next) && !next.startsWith('/sign-in') ? next : '/'
}
