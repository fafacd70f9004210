/** What binds a challenge to a browser that nobody is signed in with yet. */
import { challengeCookieName } from '../cookie-names.ts'
import { readCookie } from '../gate.ts'
import { challengeLifetimeMs } from './challenges.ts'

/** An empty secret takes it away. */
export function challengeCookie(publicUrl: string, secret: string): string {
  const secure = publicUrl.startsWith('https:') ? '; Secure' : ''
  const maxAge = secret === '' ? 0 : challengeLifetimeMs / 1000
  return `${challengeCookieName(publicUrl)}=${secret}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure}`
}

export function challengeCookieOf(publicUrl: string, cookieHeader: string | undefined): string | undefined {
  return readCookie(cookieHeader, challengeCookieName(publicUrl))
}
