/**
 * Names of our cookies. `__Host-` binds a cookie to one host and to https, so that no neighbouring host can plant one.
 * Cookies do not know ports: two installations on one host are told apart by the port in the name.
 */

/** Of the browser session, on the platform's origin. */
export function sessionCookieName(publicUrl: string): string {
  return nameAt(publicUrl, 'cygnet_session')
}

/** Of a browser that is about to sign in with a passkey, on the same origin. */
export function challengeCookieName(publicUrl: string): string {
  return nameAt(publicUrl, 'cygnet_challenge')
}

/** Of a browser that is away at its institute, on the same origin. */
export function attemptCookieName(publicUrl: string): string {
  return nameAt(publicUrl, 'cygnet_institute')
}

/** Of the invitation that this browser has opened, on the platform's origin. */
export function joinCookieName(publicUrl: string): string {
  return nameAt(publicUrl, 'cygnet_join')
}

/** Of the OIDC provider's own cookies, on the same origin. */
export function oidcCookieName(publicUrl: string, part: 'session' | 'interaction' | 'resume'): string {
  return nameAt(publicUrl, `cygnet_oidc_${part}`)
}

/** On the content origin. Over https each session has a cookie of its own name, because `__Host-` allows no path. */
export function contentCookieName(contentUrl: string, sessionId: string): string {
  const name = nameAt(contentUrl, 'cygnet_content')
  return contentUrl.startsWith('https:') ? `${name}_${sessionId}` : name
}

function nameAt(url: string, name: string): string {
  const { port, protocol } = new URL(url)
  const numbered = port === '' ? name : `${name}_${port}`
  return protocol === 'https:' ? `__Host-${numbered}` : numbered
}
