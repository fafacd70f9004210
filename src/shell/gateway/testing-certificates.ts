/** For tests: an authority of their own and certificates from it, made by the openssl command. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Why tests of TLS are skipped here; undefined: they run. */
export const noCertificates =
  spawnSync('openssl', ['version']).status === 0 ? undefined : 'SKIPPED: there is no openssl command on this machine'

export interface TestAuthority {
  /** PEM, and the file that holds it. */
  ca: string
  caFile: string
  /** Issues a certificate for these names (`DNS:…`, `IP:…`) into two files; answers their paths. */
  issue(name: string, subjectAltName: string, days?: number): { certificate: string; key: string }
}

export function makeAuthority(folder: string): TestAuthority {
  const at = (file: string) => join(folder, file)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl([
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=Test authority',
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
  ])
  return {
    ca: readFileSync(at('ca.pem'), 'utf8'),
    caFile: at('ca.pem'),
    issue(name, subjectAltName, days = 2) {
      const [key, request, certificate, extensions] = ['key', 'csr', 'pem', 'cnf'].map((end) => at(`${name}.${end}`))
      writeFileSync(extensions!, `subjectAltName=${subjectAltName}\n`)
      openssl(['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', key!, '-out', request!])
      const signer = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial']
      openssl([
        'x509',
        '-req',
        '-in',
        request!,
        ...signer,
        '-days',
        String(days),
        '-extfile',
        extensions!,
        '-out',
        certificate!,
      ])
      return { certificate: certificate!, key: key! }
    },
  }
}

function openssl(argv: string[]): void {
  const { status, stderr } = spawnSync('openssl', argv, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`openssl ${argv[0]}: ${stderr}`)
}
