/**
 * What of a text or a detail from outside the audit keeps: on one line, of bounded length, without secrets. Callers never
 * pass a secret on purpose; this is the net below them.
 */

const longestText = 200
const longestWord = 500
const longestDetail = 16_000
const mostMembers = 200
const deepest = 8

/** What is kept instead of a secret, a query or a fragment. */
export const notKept = '[not kept]'

/** Members with these names, in any spelling, hold secrets wherever they stand. */
const secretNames = new Set(
  [
    'password passphrase secret secretAccessKey clientSecret sharedSecret privateKey seed totp otp pin',
    'token accessToken refreshToken idToken sessionToken subjectToken actorToken bearer jwt ticket',
    'code oneTimeCode recoveryCode recoveryCodes userCode deviceCode invitationCode authorizationCode codeVerifier',
    'cookie setCookie authorization assertion clientAssertion signature xAmzSecurityToken',
  ]
    .join(' ')
    .split(' ')
    .map((name) => name.toLowerCase()),
)

const webToken = /\b[\w-]*eyJ[\w-]{8,}\.[\w-]+\.[\w-]*/g
const addressTail = /\b([a-z][a-z0-9+.-]*:\/\/[^\s?#"'<>]*)[?#][^\s"'<>]*/gi
/** By number, not by Unicode's newest opinion: what was hashed must come out the same for ever. */
const invisible =
  /[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\u{e0000}-\u{e0fff}]/gu
const bearer = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi

/**
 * On one line and at most 200 characters: control and invisible characters, and the backslash they are written with,
 * become `\u000a`, so that two different texts never look the same.
 */
export function keepText(text: string): string {
  const known = withoutSecrets(text.slice(0, 4 * longestText).toWellFormed())
  return cut(known.replaceAll('\\', '\\u005c').replace(invisible, escape), longestText)
}

/** JSON of bounded length, depth and width. What is too long says how long it was, and begins as it did. */
export function keepDetail(detail: Readonly<Record<string, unknown>>): string {
  const text = jsonLine(kept(detail, 0))
  if (text.length <= longestDetail) return text
  return jsonLine({ cut: true, characters: text.length, begins: cut(text, longestDetail / 4) })
}

/** JSON in visible characters on one line; the same for the same value, also after it was read back. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(invisible, escape)
}

function kept(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(withoutSecrets(value.slice(0, 4 * longestWord).toWellFormed()), longestWord)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= deepest) return '…'
  if (Array.isArray(value)) {
    const items = value.slice(0, mostMembers).map((item) => kept(item, depth + 1))
    return value.length > mostMembers ? [...items, `… ${value.length - mostMembers} more`] : items
  }
  const members = Object.entries(value)
  const some = members.slice(0, mostMembers).map(([name, member]) => {
    const isSecret = secretNames.has(name.replaceAll(/[-_\s]/g, '').toLowerCase()) && typeof member !== 'boolean'
    return [cut(name.toWellFormed(), 100), isSecret ? notKept : kept(member, depth + 1)] as const
  })
  const more = members.length > mostMembers ? [['…', members.length - mostMembers] as const] : []
  return Object.fromEntries([...some, ...more])
}

function withoutSecrets(text: string): string {
  return text.replace(addressTail, `$1?${notKept}`).replace(webToken, notKept).replace(bearer, `$1 ${notKept}`)
}

/** Whole characters only. */
function cut(text: string, longest: number): string {
  return text.length <= longest
    ? text
    : `${text
        .slice(0, longest - 1)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`
}

function escape(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
