/** The part of oidc-provider 9 that this room uses; the package ships no types. */
declare module 'oidc-provider' {
  import type { KeyObject } from 'node:crypto'
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface AdapterPayload {
    [member: string]: unknown
    jti?: string
    exp?: number
    grantId?: string
    userCode?: string
    uid?: string
    accountId?: string
  }

  export interface Adapter {
    upsert(id: string, payload: AdapterPayload, expiresInSeconds?: number): Promise<void>
    find(id: string): Promise<AdapterPayload | undefined>
    findByUserCode(userCode: string): Promise<AdapterPayload | undefined>
    findByUid(uid: string): Promise<AdapterPayload | undefined>
    consume(id: string): Promise<void>
    destroy(id: string): Promise<void>
    revokeByGrantId(grantId: string): Promise<void>
  }

  export interface Context {
    oidc: {
      route: string
      client?: Client
      result?: { login?: { accountId: string }; consent?: { grantId?: string } }
      provider: Provider
      params: Record<string, unknown>
      session?: { accountId?: string }
    }
    req: IncomingMessage
    body: unknown
    type: string
    status: number
  }

  export interface Client {
    clientId: string
    clientName?: string
    grantTypeAllowed(type: string): boolean
  }

  export class Grant {
    constructor(properties: { accountId: string; clientId: string })
    accountId: string
    addOIDCScope(scope: string): void
    addResourceScope(resource: string, scope: string): void
    save(): Promise<string>
    static find(id: string): Promise<Grant | undefined>
  }

  export class DeviceCode {
    jti: string
    exp: number
    isExpired: boolean
    clientId: string
    accountId?: string
    error?: string
    errorDescription?: string
    inFlight?: boolean
    grantId?: string
    authTime?: number
    scope?: string
    resource?: string
    params: Record<string, unknown>
    deviceInfo?: Record<string, unknown>
    save(): Promise<string>
    static findByUserCode(userCode: string, options?: { ignoreExpiration?: boolean }): Promise<DeviceCode | undefined>
  }

  export class RefreshToken {
    constructor(properties: Record<string, unknown>)
    totalLifetime(): number
    save(): Promise<string>
  }

  export interface Interaction {
    uid: string
    exp: number
    returnTo: string
    params: Record<string, unknown>
    session?: { accountId: string; uid?: string; cookie?: string }
    result?: Record<string, unknown>
    save(ttlSeconds: number): Promise<string>
  }

  export interface Session {
    destroy(): Promise<void>
  }

  export class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>)
    proxy: boolean
    issuer: string
    Grant: typeof Grant
    DeviceCode: typeof DeviceCode
    RefreshToken: typeof RefreshToken
    Client: { find(id: string): Promise<Client | undefined> }
    Session: { findByUid(uid: string): Promise<Session | undefined> }
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): this
    on(event: string, listener: (...parameters: never[]) => void): this
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
  }

  export class ExternalSigningKey {
    kid: string
    alg: string
    keyObject(): KeyObject
    sign(data: Uint8Array): Promise<Uint8Array> | Uint8Array
  }

  export const errors: {
    InvalidGrant: new (message: string) => Error
    [name: string]: new (...parameters: string[]) => Error
  }

  export const interactionPolicy: {
    base(): { get(name: string): { checks: { add(check: unknown): void } } }
    Check: {
      new (reason: string, description: string, check: (context: Context) => boolean | Promise<boolean>): object
      readonly REQUEST_PROMPT: boolean
      readonly NO_NEED_TO_PROMPT: boolean
    }
  }
}
