/** What the browser is asked about passkeys, and what became of it in words. Its library is loaded when it is needed. */
import { Fault, type apiOf } from '../../foundation/browser.tsx'
import type { identityContract } from '../contract.ts'
import { t } from './factors-messages.ts'

type Api = ReturnType<typeof apiOf<typeof identityContract>>
type Answer = Parameters<Api['signInWithPasskey']>[0]['body']['response']
type Made = Parameters<Api['addPasskey']>[0]['body']['response']
type Options = Record<string, unknown>

/** Whether this browser knows passkeys at all. */
export function knowsPasskeys(): boolean {
  return typeof window.PublicKeyCredential === 'function'
}

/** Whether this address can have them: browsers want a host name, and https but on this machine. */
export function addressHasPasskeys(): boolean {
  const { hostname } = window.location
  const bareAddress = hostname.startsWith('[') || /^\d+(\.\d+){3}$/.test(hostname)
  return window.isSecureContext && !bareAddress
}

export async function answerWithPasskey(options: Options): Promise<Answer> {
  const { startAuthentication } = await import('@simplewebauthn/browser')
  const optionsJSON = options as unknown as Parameters<typeof startAuthentication>[0]['optionsJSON']
  return (await startAuthentication({ optionsJSON }).catch(inWords)) as Answer
}

export async function createPasskey(options: Options): Promise<Made> {
  const { startRegistration } = await import('@simplewebauthn/browser')
  const optionsJSON = options as unknown as Parameters<typeof startRegistration>[0]['optionsJSON']
  return (await startRegistration({ optionsJSON }).catch(inWords)) as Made
}

function inWords(error: unknown): never {
  const name = error instanceof Error ? error.name : ''
  const reason = error instanceof Error ? error.message : String(error)
  const words =
    name === 'NotAllowedError' || name === 'AbortError'
      ? t('factor.cancelled')
      : name === 'InvalidStateError'
        ? t('factor.already')
        : t('factor.failed', { reason })
  throw new Fault({ code: 'identity.browser', status: 0, title: '', detail: words, cause: error })
}
