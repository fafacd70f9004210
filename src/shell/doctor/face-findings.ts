/** Certificates and names of the public faces, looked at before a browser has to complain. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Finding } from '../../foundation/findings.ts'
import type { Addresses } from '../addresses.ts'
import type { HttpSettings } from '../http-settings.ts'

const dayMs = 86_400_000
const renewBeforeDays = 14

export async function faceFindings(http: HttpSettings, addresses: Addresses, nowMs = Date.now()): Promise<Finding[]> {
  const hosts = [addresses.publicUrl, addresses.contentUrl, addresses.s3Url].map((url) => new URL(url).hostname)
  const pairs = http.tls === undefined ? [] : Array.isArray(http.tls) ? http.tls : [http.tls]
  const certificates = await Promise.all(pairs.map((pair) => certificateFindings(pair, nowMs)))
  return [
    ...certificates.flatMap(({ findings }) => findings),
    ...coverFindings(hosts, certificates),
    ...(await Promise.all([...new Set(hosts)].map(nameFinding))).flat(),
  ]
}

interface Looked {
  findings: Finding[]
  certificate?: X509Certificate
}

async function certificateFindings(pair: { certificate: string; key: string }, nowMs: number): Promise<Looked> {
  const bad = (what: string, detail: string, hint: string): Finding => ({ what, verdict: 'bad', detail, hint })
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(await readFile(pair.certificate))
  } catch (error) {
    const hint = 'http.tls.certificate names a PEM file with the certificate and then its chain.'
    return { findings: [bad('certificate', `${pair.certificate}: ${(error as Error).message}`, hint)] }
  }
  const findings: Finding[] = []
  const days = Math.floor((Date.parse(certificate.validTo) - nowMs) / dayMs)
  const detail = `${pair.certificate}: valid until ${certificate.validTo}`
  if (Date.parse(certificate.validFrom) > nowMs)
    findings.push(
      bad(
        'certificate',
        `${pair.certificate}: valid only from ${certificate.validFrom}`,
        'Is the clock of this machine right?',
      ),
    )
  else if (days < 0)
    findings.push(bad('certificate', detail, 'Put a new one in its place; it is taken without a restart.'))
  else
    findings.push({
      what: 'certificate',
      verdict: days < renewBeforeDays ? 'warning' : 'good',
      detail,
      hint: days < renewBeforeDays ? `${days} days are left: renew it now; it is taken without a restart.` : '',
    })
  try {
    const key = createPrivateKey(await readFile(pair.key))
    if (!certificate.checkPrivateKey(key))
      findings.push(
        bad('certificate key', `${pair.key} is not the key of ${pair.certificate}`, 'Were they renewed together?'),
      )
    const { mode } = await stat(pair.key)
    if ((mode & 0o007) !== 0)
      findings.push(bad('certificate key', `${pair.key} can be read by everybody`, `Run: chmod 640 ${pair.key}`))
  } catch (error) {
    findings.push(
      bad(
        'certificate key',
        `${pair.key}: ${(error as Error).message}`,
        'http.tls.key names its PEM file, without a passphrase.',
      ),
    )
  }
  return { findings, certificate }
}

function coverFindings(hosts: string[], looked: Looked[]): Finding[] {
  const certificates = looked.map(({ certificate }) => certificate).filter((each) => each !== undefined)
  if (certificates.length === 0) return []
  return [...new Set(hosts)]
    .filter((host) => {
      // Of a name per person any one will do.
      const asked = host.replace(/^\*/, 'somebody')
      return !certificates.some((each) => (isIP(asked) ? each.checkIP(asked) : each.checkHost(asked)) !== undefined)
    })
    .map((host) => ({
      what: 'certificate',
      verdict: 'bad' as const,
      detail: `none is for ${host}`,
      hint: `Get one that names ${host}, or add a pair for it to http.tls.`,
    }))
}

async function nameFinding(host: string): Promise<Finding[]> {
  const asked = host.replace(/^\*/, 'somebody')
  const found = await lookup(asked).then(
    () => true,
    () => false,
  )
  if (found) return []
  const hint = host.startsWith('*')
    ? 'Notebooks need a wildcard record in the DNS of your institute.'
    : 'Ask for a record in the DNS of your institute.'
  return [{ what: 'name', verdict: 'warning', detail: `${host} has no address, seen from here`, hint }]
}
