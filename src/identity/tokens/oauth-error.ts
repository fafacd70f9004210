/** Refusals of token endpoints, in the words of RFC 6749 (5.2) and RFC 8693. */
export type OauthErrorName =
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'invalid_scope'
  | 'invalid_target'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'slow_down'

export class OauthError extends Error {
  readonly error: OauthErrorName
  readonly status: number

  constructor(error: OauthErrorName, description: string, cause?: unknown) {
    super(description, { cause })
    this.error = error
    this.status = error === 'invalid_client' ? 401 : error === 'slow_down' ? 429 : 400
  }
}
