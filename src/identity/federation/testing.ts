/** For tests only: an installation with an institute, and browsers that go there and come back. */
import { expect } from 'vitest'
import type { OpenTestDatabase } from '../../foundation/testing.ts'
import type { Clock } from '../../foundation/time.ts'
import { adminBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { callbackPath } from './contract.ts'
import { startTestIssuer, type TestIssuer } from './test-issuer.ts'

export interface WithInstitute {
  test: TestIdentity
  admin: Browser
  issuer: TestIssuer
  /** Of the identity provider that stands for it here. */
  institute: string
}

export async function startWithInstitute(
  open: OpenTestDatabase,
  options: { clock?: Clock; person?: Record<string, unknown>; recheckMinutes?: number } = {},
): Promise<WithInstitute> {
  const test = await startIdentity(open, options.clock === undefined ? {} : { clock: options.clock })
  const admin = await adminBrowser(test)
  const { issuer, institute } = await addInstitute({ test, admin }, options)
  await test.identity.experimentGroupOf('demo')
  return { test, admin, issuer, institute }
}

export async function addInstitute(
  { test, admin }: Pick<WithInstitute, 'test' | 'admin'>,
  options: { person?: Record<string, unknown>; recheckMinutes?: number; label?: string; clock?: Clock } = {},
): Promise<{ issuer: TestIssuer; institute: string }> {
  const issuer = await startTestIssuer({
    redirectUri: `${test.publicUrl}${callbackPath}`,
    ...(options.person !== undefined && { person: options.person }),
    ...(options.clock !== undefined && { clock: options.clock }),
  })
  const added = await admin.api.addIssuer({
    body: {
      issuer: issuer.url,
      label: options.label ?? 'Institute of Tests',
      clientId: issuer.clientId,
      clientSecret: issuer.clientSecret,
      ...(options.recheckMinutes !== undefined && { recheckMinutes: options.recheckMinutes }),
    },
  })
  return { issuer, institute: added.id }
}

/** Leaves for the institute: the address to which our page sends the browser. */
export async function leaveFor(
  browser: Browser,
  institute: string,
  options: { purpose?: 'login' | 'link' | 'join'; next?: string; again?: boolean } = {},
): Promise<string> {
  return (await browser.api.startInstituteLogin({ body: { institute, ...options } })).location
}

/** Comes back: always sent on to our own page, whatever has happened. */
export async function comeBack(browser: Browser, callback: URL): Promise<void> {
  const response = await browser.fetch(`${callback.pathname}${callback.search}`, {
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  })
  expect([response.status, response.headers.get('location')]).toEqual([303, '/institute'])
}

/** There and back. */
export async function visitInstitute(
  browser: Browser,
  { issuer, institute }: Pick<WithInstitute, 'issuer' | 'institute'>,
  options: Parameters<typeof leaveFor>[2] = {},
): Promise<void> {
  await comeBack(browser, await issuer.visit(await leaveFor(browser, institute, options)))
}

export type Answered = Awaited<ReturnType<Browser['api']['continueInstituteLogin']>>

/** There, back and on: what our page says then. */
export async function signInAt(
  browser: Browser,
  at: Pick<WithInstitute, 'issuer' | 'institute'>,
  body: { name?: string; displayName?: string; confirm?: boolean } = {},
): Promise<Answered> {
  await visitInstitute(browser, at)
  return await browser.api.continueInstituteLogin({ body })
}

/** Code and words of what was refused. */
export async function refused(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'not refused',
    (error: { code?: string }) => error.code ?? String(error),
  )
}
