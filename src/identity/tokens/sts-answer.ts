/** Answers of STS, in the XML that tools know. */
const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'

export interface StsAnswer {
  status: number
  body: string
  /** Of the key that was made. */
  accessKeyId?: string
}

export class StsRefusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.status = status
    this.code = code
  }
}

export interface AssumedRole {
  subject: string
  account: string
  role: string
  roleId: string
  audience: string
  provider: string
  accessKeyId: string
  secretAccessKey: string
  sessionToken: string
  expiresAtMs: number
  packedPolicyPercent?: number
}

export function stsAnswer(role: AssumedRole, requestId: string): StsAnswer {
  const { account, subject } = role
  return {
    status: 200,
    accessKeyId: role.accessKeyId,
    body: xml('AssumeRoleWithWebIdentityResponse', {
      AssumeRoleWithWebIdentityResult: {
        SubjectFromWebIdentityToken: subject,
        Audience: role.audience,
        AssumedRoleUser: {
          Arn: `arn:aws:sts::${account}:assumed-role/${role.role}/${subject}`,
          AssumedRoleId: `${role.roleId}:${subject}`,
        },
        Credentials: {
          AccessKeyId: role.accessKeyId,
          SecretAccessKey: role.secretAccessKey,
          SessionToken: role.sessionToken,
          Expiration: new Date(role.expiresAtMs).toISOString().replace(/\.\d{3}Z$/, 'Z'),
        },
        Provider: role.provider,
        ...(role.packedPolicyPercent !== undefined && { PackedPolicySize: String(role.packedPolicyPercent) }),
      },
      ResponseMetadata: { RequestId: requestId },
    }),
  }
}

export function stsError({ status, code, message }: StsRefusal, requestId: string): StsAnswer {
  const type = status < 500 ? 'Sender' : 'Receiver'
  return {
    status,
    body: xml('ErrorResponse', { Error: { Type: type, Code: code, Message: message }, RequestId: requestId }),
  }
}

type Tree = { readonly [name: string]: string | Tree }

function xml(root: string, content: Tree): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${namespace}">${inner(content)}</${root}>\n`
}

function inner(tree: Tree): string {
  return Object.entries(tree)
    .map(([name, value]) => `<${name}>${typeof value === 'string' ? escaped(value) : inner(value)}</${name}>`)
    .join('')
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`).replace(/[\p{Cc}]/gu, '?')
}
