/** What is read from an institute's claims. Pure. Nothing here decides who somebody is: that is (issuer, subject) alone. */

/** Claim to its values; names, addresses and the protocol's own claims are not among them. */
export type KnownClaims = Record<string, string[]>

const mostValues = 200
const longestValue = 255
const mostClaims = 50

/**
 * Personal names and addresses can be chosen or changed by people (or are not checked by anybody), so no rule may look at
 * them; `iss`, `aud` and the like say nothing about the person.
 */
const neverForRules = new Set(
  (
    'email email_verified preferred_username name nickname given_name family_name middle_name profile picture website ' +
    'gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at upn unique_name ' +
    'iss sub aud exp iat nbf nonce azp auth_time at_hash c_hash s_hash sid jti typ session_state'
  ).split(' '),
)

export function mayBeRuleClaim(claim: string): boolean {
  return !neverForRules.has(claim) && !/e-?mail/i.test(claim) && claim !== '__proto__'
}

/** Later sources add claims that earlier ones lack: what the ID token says is never replaced. */
export function claimsForRules(...sources: Record<string, unknown>[]): KnownClaims {
  const known = new Map<string, string[]>()
  for (const source of sources) {
    for (const [claim, value] of Object.entries(source)) {
      if (known.has(claim) || !mayBeRuleClaim(claim) || claim.length > 100 || known.size >= mostClaims) continue
      const values = valuesOf(value)
      if (values.length > 0) known.set(claim, values)
    }
  }
  return Object.fromEntries(known)
}

/** Arrays of strings, one string, or one string with blanks (as scopes are written). Anything else is no value. */
function valuesOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(' ') : []
  const texts = list.filter((item): item is string => typeof item === 'string' && item !== '')
  return [...new Set(texts)].filter((text) => text.length <= longestValue).slice(0, mostValues)
}

/** Does this rule's value stand among the claims? Absent claim: no. `/cygno` and `cygno` are one group. */
export function fulfils(claims: KnownClaims, claim: string, value: string): boolean {
  const values = Object.hasOwn(claims, claim) ? claims[claim]! : []
  return values.some((held) => withoutSlash(held) === withoutSlash(value))
}

function withoutSlash(group: string): string {
  return group.startsWith('/') ? group.slice(1) : group
}

/** How the institute calls the person: for showing only. */
export function labelOf(claims: Record<string, unknown>, subject: string): string {
  return line(claims['preferred_username']) ?? line(claims['email']) ?? line(claims['name']) ?? subject.slice(0, 100)
}

export function displayNameOf(claims: Record<string, unknown>): string {
  const parts = [line(claims['given_name']), line(claims['family_name'])].filter((part) => part !== undefined)
  return (line(claims['name']) ?? parts.join(' ')).slice(0, 100)
}

/** `eduperson_assurance` and `acr`, passed on as they are. */
export function assuranceOf(claims: Record<string, unknown>): string {
  return [...valuesOf(claims['eduperson_assurance']), ...valuesOf(claims['acr'])].join(' ').slice(0, 500)
}

/** A first proposal for the user name, to be changed by the person; empty if nothing fits. */
export function proposedNameOf(claims: Record<string, unknown>): string {
  const email = line(claims['email'])?.split('@', 1)[0]
  const family = line(claims['family_name'])
  for (const text of [line(claims['preferred_username'])?.split('@', 1)[0], family, email, line(claims['name'])]) {
    const name = (text ?? '')
      .normalize('NFKD')
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '')
      .replace(/^[0-9]+/, '')
      .slice(0, 20)
    if (name.length >= 2) return name
  }
  return ''
}

/** One printable line of at most 100 characters, or nothing. */
function line(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '')
    .trim()
    .slice(0, 100)
  return text === '' ? undefined : text
}
