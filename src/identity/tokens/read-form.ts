import { OauthError } from './oauth-error.ts'

/** The parameters of a form, each at most once (RFC 6749, 3.2); empty ones count as absent. @throws OauthError */
export function readForm(body: string): ReadonlyMap<string, string> {
  const form = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(body)) {
    if (form.has(name)) throw new OauthError('invalid_request', `${name.slice(0, 100)} is there twice`)
    form.set(name, value)
  }
  for (const [name, value] of form) if (value === '') form.delete(name)
  return form
}
