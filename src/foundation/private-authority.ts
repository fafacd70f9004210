/** Certificates of an institute's own authority, for programs of ours that call the platform over https. */
import { readFile } from 'node:fs/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { foundationFaults } from './errors.ts'

/**
 * From now on this process also trusts the authorities in the PEM file named by CYGNET_CA_FILE, for every connection it
 * makes (fetch, https). NODE_EXTRA_CA_CERTS does the same, but only when it is set before Node starts.
 * @throws Fault foundation.invalid_file
 */
export async function trustPrivateAuthority(environment: NodeJS.ProcessEnv = process.env): Promise<void> {
  const path = environment.CYGNET_CA_FILE
  if (path === undefined || path === '') return
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw foundationFaults.invalidFile(`CYGNET_CA_FILE ${path} cannot be read.`, { cause })
  })
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)
  if (certificates === null)
    throw foundationFaults.invalidFile(`CYGNET_CA_FILE ${path} holds no certificate.`, {
      hint: 'Give the PEM file of your authority (BEGIN CERTIFICATE).',
    })
  setDefaultCACertificates([...getCACertificates('default'), ...certificates])
}
