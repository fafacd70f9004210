/** The part of the settings that says where and how the public faces are served. */
import { availableParallelism } from 'node:os'
import { z } from 'zod'

const port = z.int().min(1).max(65_535)
const certificatePair = z.strictObject({
  certificate: z.string().describe('PEM file of the certificate, its chain after it; read again when it changes'),
  key: z.string().describe('PEM file of its private key'),
})

export const httpSettings = z.strictObject({
  listen: z
    .string()
    .default('127.0.0.1')
    .describe("address to listen on; '*' is all of them and needs tls or behindProxy"),
  port: port.default(8410).describe('platform port; S3 is on the next one unless s3Port or s3Url say otherwise'),
  s3Port: port.optional().describe('port of the S3 endpoint'),
  publicUrl: z.string().optional().describe('where browsers find the platform, such as https://cygnet.example.org'),
  contentUrl: z
    .string()
    .optional()
    .describe("where people's notebooks answer, another host name; https://*.user.example.org gives each person one"),
  s3Url: z
    .string()
    .optional()
    .describe('where S3 clients go; with the port of publicUrl, all faces share one listener'),
  tls: z
    .union([certificatePair, z.array(certificatePair).min(1).max(100)])
    .optional()
    .describe('certificate and key files; several pairs are chosen by host name'),
  behindProxy: z
    .strictObject({
      trusted: z.array(z.string()).min(1).describe('addresses of the proxy, such as 127.0.0.1 or 10.0.0.0/8'),
    })
    .optional()
    .describe('a proxy in front of us ends TLS; its X-Forwarded-For, -Proto and -Host are believed'),
  redirectHttpPort: port.optional().describe('a plain http port that only sends browsers to https'),
  gateways: z.int().min(1).max(64).default(Math.min(2, availableParallelism())).describe('gateway processes'),
  limits: z
    .strictObject({
      connections: z.int().min(8).max(1_000_000).default(8192).describe('open connections of one gateway'),
      connectionsPerAddress: z.int().min(1).max(1_000_000).default(1024).describe('and of one address'),
      headerSeconds: z.number().min(1).max(120).default(10).describe('within which a request must have its headers'),
      stallSeconds: z.number().min(1).max(600).default(10).describe('a body slower than 1 KiB per so long is cut off'),
      requestsPerPrincipal: z
        .int()
        .min(1)
        .max(10_000)
        .default(64)
        .describe('requests of one key, person or address at once'),
      waitingPerPrincipal: z.int().min(0).max(100_000).default(256).describe('and so many waiting for their turn'),
      waitSeconds: z.number().min(0.1).max(300).default(20).describe('longest such wait'),
    })
    .prefault({}),
})

export type HttpSettings = z.infer<typeof httpSettings>
export type HttpLimits = HttpSettings['limits']
