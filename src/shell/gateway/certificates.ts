/**
 * The certificates of the public faces, read again whenever their files change, without a restart. A new pair takes
 * effect only if it is whole: a certificate, its own key, and not over. Otherwise the old one stays and the log says why.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from '../../foundation/log.ts'
import { shellFaults } from '../errors.ts'

export interface CertificateFiles {
  certificate: string
  key: string
}

export interface Certificates {
  /** For the server: contexts by host name, the first pair for all other names. */
  options: { SNICallback(name: string, done: (error: Error | null, context?: SecureContext) => void): void } & TlsLimits
  /** The first pair as it is now, for clients that name no host. */
  first(): { cert: string; key: string }
  /** Called after each change that took effect. */
  onChange(follow: () => void): void
  /** Looks at the files now; `true` if something changed. */
  look(): Promise<boolean>
  close(): void
}

interface TlsLimits {
  minVersion: 'TLSv1.2'
  handshakeTimeout: number
  ALPNProtocols: string[]
}

interface Pair {
  files: CertificateFiles
  version: string
  cert: string
  key: string
  leaf: X509Certificate
  context: SecureContext
}

const lookEveryMs = 1_000

/** @throws Fault shell.invalid_addresses when a pair cannot be used at the start. */
export async function openCertificates(given: readonly CertificateFiles[], log: Logger): Promise<Certificates> {
  const pairs = await Promise.all(given.map((files) => load(files)))
  const followers: (() => void)[] = []
  let looking: Promise<boolean> | undefined
  const refused = new Map<CertificateFiles, string>()

  async function lookOnce(): Promise<boolean> {
    let changed = false
    for (const [index, pair] of pairs.entries()) {
      const version = await versionOf(pair.files).catch(() => undefined)
      if (version === undefined || version === pair.version || refused.get(pair.files) === version) continue
      try {
        pairs[index] = await load(pair.files)
        refused.delete(pair.files)
        changed = true
        const { subject, validTo } = pairs[index].leaf
        log.info({ certificate: pair.files.certificate, subject, validTo }, 'a new certificate is in use')
      } catch (error) {
        // Said once per state of the files: they may be half way through being replaced.
        refused.set(pair.files, version)
        log.error(
          { err: error, certificate: pair.files.certificate },
          'the new certificate cannot be used; the old stays',
        )
      }
    }
    if (changed) for (const follow of followers) follow()
    return changed
  }

  const look = () => (looking ??= lookOnce().finally(() => (looking = undefined)))
  const timer = setInterval(() => void look(), lookEveryMs)
  timer.unref()
  return {
    options: {
      minVersion: 'TLSv1.2',
      handshakeTimeout: 10_000,
      ALPNProtocols: ['http/1.1'],
      SNICallback: (name, done) => done(null, (pairs.find(({ leaf }) => leaf.checkHost(name)) ?? pairs[0]!).context),
    },
    first: () => ({ cert: pairs[0]!.cert, key: pairs[0]!.key }),
    onChange: (follow) => void followers.push(follow),
    look,
    close: () => clearInterval(timer),
  }
}

async function load(files: CertificateFiles): Promise<Pair> {
  // The version is taken first: files that change while they are read are read again at the next look.
  const version = await versionOf(files).catch((cause: unknown) => {
    throw unusable(files, 'It cannot be read.', cause)
  })
  const [cert, key] = await Promise.all([readFile(files.certificate, 'utf8'), readFile(files.key, 'utf8')])
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(cert)
    if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('the key belongs to another certificate')
    if (leaf.validToDate.getTime() < Date.now()) throw new Error(`it ended at ${leaf.validTo}`)
    return { files, version, cert, key, leaf, context: createSecureContext({ cert, key, minVersion: 'TLSv1.2' }) }
  } catch (cause) {
    throw unusable(files, (cause as Error).message, cause)
  }
}

function unusable(files: CertificateFiles, reason: string, cause: unknown): Error {
  return shellFaults.invalidAddresses(`The certificate ${files.certificate} cannot be used: ${reason}`, {
    hint: 'Give the PEM files of a certificate and of its own key.',
    cause,
  })
}

async function versionOf({ certificate, key }: CertificateFiles): Promise<string> {
  const versions = await Promise.all([certificate, key].map((path) => stat(path, { bigint: true })))
  return versions.map(({ ino, mtimeNs, size }) => `${ino}:${mtimeNs}:${size}`).join(' ')
}
