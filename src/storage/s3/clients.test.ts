/** The clients people have, unchanged, over the wire. */
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCommand } from '../../foundation/processes.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { openTestServer, testKeys, type TestKey, type TestServer } from '../testing.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasBoto = python !== undefined && spawnSync(python, ['-c', 'import boto3']).status === 0
const aws = python === undefined ? undefined : [join(dirname(python), 'aws')].find((path) => existsSync(path))
const onPath = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0

const environment = (key: TestKey = testKeys.owner): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  AWS_ACCESS_KEY_ID: key.id,
  AWS_SECRET_ACCESS_KEY: key.secret,
  AWS_DEFAULT_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_MAX_ATTEMPTS: '1',
})

async function run(argv: string[], env: NodeJS.ProcessEnv = environment()): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv, { env, timeoutMs: 50_000 })
  if (code !== 0) throw new Error(`${argv.join(' ')}\nexit ${code}\n${stdout}\n${stderr}`)
  return stdout
}

const md5Of = (path: string) => createHash('md5').update(readFileSync(path)).digest('hex')

describe.skipIf(!hasBoto)(`boto3${hasBoto ? '' : ' [skipped: CYGNET_TEST_PYTHON names no python with boto3]'}`, () => {
  const boto = async (server: TestServer, script: string, key: TestKey = testKeys.owner) => {
    const head = [
      'import boto3, json, io, os, hashlib, urllib.request',
      'from botocore.exceptions import ClientError',
      'from botocore.config import Config',
      `s3 = boto3.client("s3", endpoint_url="${server.url}", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0}))`,
      'def code(call):',
      '  try: call(); return 200',
      '  except ClientError as error: return error.response["Error"]["Code"]',
    ].join('\n')
    return JSON.parse(await run([python!, '-c', `${head}\n${script}`], environment(key))) as Record<string, unknown>
  }

  test('stores, reads, lists, copies and deletes', async () => {
    const server = await openTestServer()
    const answer = await boto(
      server,
      `
body = os.urandom(300000)
put = s3.put_object(Bucket="demo-work", Key="a b/ü+%.bin", Body=body, ContentType="x/y", Metadata={"run": "12"}, CacheControl="no-cache")
got = s3.get_object(Bucket="demo-work", Key="a b/ü+%.bin")
ranged = s3.get_object(Bucket="demo-work", Key="a b/ü+%.bin", Range="bytes=10-19")["Body"].read()
head = s3.head_object(Bucket="demo-work", Key="a b/ü+%.bin", ChecksumMode="ENABLED")
s3.copy_object(Bucket="demo-work", Key="copy.bin", CopySource={"Bucket": "demo-work", "Key": "a b/ü+%.bin"})
for i in range(5): s3.put_object(Bucket="demo-work", Key=f"many/{i}", Body=b"x")
pages = [[o["Key"] for o in p.get("Contents", [])] for p in s3.get_paginator("list_objects_v2").paginate(Bucket="demo-work", PaginationConfig={"PageSize": 2})]
v1 = [p["Prefix"] for p in s3.list_objects(Bucket="demo-work", Delimiter="/")["CommonPrefixes"]]
deleted = s3.delete_objects(Bucket="demo-work", Delete={"Objects": [{"Key": f"many/{i}"} for i in range(5)] + [{"Key": "never"}]})
s3.delete_object(Bucket="demo-work", Key="copy.bin")
left = [o["Key"] for o in s3.list_objects_v2(Bucket="demo-work")["Contents"]]
print(json.dumps(dict(
  same=got["Body"].read() == body, etag=put["ETag"].strip('"') == hashlib.md5(body).hexdigest(), ranged=ranged == body[10:20],
  meta=head["Metadata"], type=head["ContentType"], cache=got["CacheControl"], crc="ChecksumCRC32" in head, pages=pages, v1=v1, deleted=len(deleted["Deleted"]), left=left,
  buckets=[b["Name"] for b in s3.list_buckets()["Buckets"]], location=s3.get_bucket_location(Bucket="demo-raw")["LocationConstraint"],
  versioning="Status" in s3.get_bucket_versioning(Bucket="demo-raw"),
  missing=code(lambda: s3.get_object(Bucket="demo-work", Key="nope")), nobucket=code(lambda: s3.list_objects_v2(Bucket="demo-none")),
  once=code(lambda: s3.put_object(Bucket="demo-work", Key="a b/ü+%.bin", Body=b"y", IfNoneMatch="*")),
  md5=code(lambda: s3.put_object(Bucket="demo-work", Key="m", Body=b"y", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")),
  crcwrong=code(lambda: s3.put_object(Bucket="demo-work", Key="m", Body=b"y", ChecksumCRC32="AAAAAA=="))))) `,
    )
    expect(answer).toEqual({
      same: true,
      etag: true,
      ranged: true,
      meta: { run: '12' },
      type: 'x/y',
      cache: 'no-cache',
      crc: true,
      pages: [['a b/ü+%.bin', 'copy.bin'], ['many/0', 'many/1'], ['many/2', 'many/3'], ['many/4']],
      v1: ['a b/', 'many/'],
      deleted: 6,
      left: ['a b/ü+%.bin'],
      buckets: ['demo-raw', 'demo-reco', 'demo-work'],
      location: null,
      versioning: false,
      missing: 'NoSuchKey',
      nobucket: 'NoSuchBucket',
      once: 'PreconditionFailed',
      md5: 'BadDigest',
      crcwrong: 'BadDigest',
    })
    expect(existsSync(join(server.root, 'demo-work/a b/ü+%.bin'))).toBe(true)
  })

  test('every checksum algorithm, in one piece and in parts, is kept and given back', async () => {
    const server = await openTestServer()
    const answer = await boto(
      server,
      `
from boto3.s3.transfer import TransferConfig
out = {}
big = os.urandom(11 * 1024 * 1024)
for name in ["CRC32", "SHA1", "SHA256"]:
  s3.put_object(Bucket="demo-work", Key=name, Body=io.BytesIO(big[:100000]), ChecksumAlgorithm=name)
  head = s3.head_object(Bucket="demo-work", Key=name, ChecksumMode="ENABLED")
  s3.upload_fileobj(io.BytesIO(big), "demo-work", "big-" + name, ExtraArgs={"ChecksumAlgorithm": name}, Config=TransferConfig(multipart_threshold=5242880, multipart_chunksize=5242880))
  whole = s3.head_object(Bucket="demo-work", Key="big-" + name, ChecksumMode="ENABLED")
  got = s3.get_object(Bucket="demo-work", Key="big-" + name, ChecksumMode="ENABLED")["Body"].read()
  out[name] = ["Checksum" + name in head, whole["Checksum" + name][-2:], whole["ETag"].strip('"')[-2:], got == big]
second = s3.get_object(Bucket="demo-work", Key="big-CRC32", PartNumber=2)
out["part"] = [second["ContentLength"], second["PartsCount"]]
print(json.dumps(out))`,
    )
    expect(answer).toEqual({
      CRC32: [true, '-3', '-3', true],
      SHA1: [true, '-3', '-3', true],
      SHA256: [true, '-3', '-3', true],
      part: [5242880, 3],
    })
  })

  test('uploads in parts can be listed, copied into, aborted and completed twice', async () => {
    const server = await openTestServer()
    const answer = await boto(
      server,
      `
five = os.urandom(5 * 1024 * 1024)
up = s3.create_multipart_upload(Bucket="demo-work", Key="m")["UploadId"]
args = dict(Bucket="demo-work", Key="m", UploadId=up)
e2 = s3.upload_part(PartNumber=2, Body=b"tail", **args)["ETag"]
e1 = s3.upload_part(PartNumber=1, Body=os.urandom(5 * 1024 * 1024), **args)["ETag"]
e1 = s3.upload_part(PartNumber=1, Body=five, **args)["ETag"]
listed = [(p["PartNumber"], p["Size"]) for p in s3.list_parts(**args)["Parts"]]
uploads = [u["Key"] for u in s3.list_multipart_uploads(Bucket="demo-work")["Uploads"]]
parts = {"Parts": [{"PartNumber": 1, "ETag": e1}, {"PartNumber": 2, "ETag": e2}]}
wrong = code(lambda: s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": e2}]}, **args))
order = code(lambda: s3.complete_multipart_upload(MultipartUpload={"Parts": parts["Parts"][::-1]}, **args))
one = s3.complete_multipart_upload(MultipartUpload=parts, **args)["ETag"]
two = s3.complete_multipart_upload(MultipartUpload=parts, **args)["ETag"]
body = s3.get_object(Bucket="demo-work", Key="m")["Body"].read()
up = s3.create_multipart_upload(Bucket="demo-work", Key="c")["UploadId"]
cargs = dict(Bucket="demo-work", Key="c", UploadId=up)
c1 = s3.upload_part_copy(PartNumber=1, CopySource={"Bucket": "demo-work", "Key": "m"}, CopySourceRange="bytes=0-5242879", **cargs)["CopyPartResult"]["ETag"]
s3.complete_multipart_upload(MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": c1}]}, **cargs)
up = s3.create_multipart_upload(Bucket="demo-work", Key="x")["UploadId"]
s3.upload_part(Bucket="demo-work", Key="x", UploadId=up, PartNumber=1, Body=b"z")
small = s3.upload_part(Bucket="demo-work", Key="x", UploadId=up, PartNumber=2, Body=b"z")["ETag"]
toosmall = code(lambda: s3.complete_multipart_upload(Bucket="demo-work", Key="x", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": small}, {"PartNumber": 2, "ETag": small}]}))
s3.abort_multipart_upload(Bucket="demo-work", Key="x", UploadId=up)
gone = code(lambda: s3.list_parts(Bucket="demo-work", Key="x", UploadId=up))
print(json.dumps(dict(listed=listed, uploads=uploads, wrong=wrong, order=order, same=one == two, body=body == five + b"tail",
  copied=s3.get_object(Bucket="demo-work", Key="c")["Body"].read() == five, toosmall=toosmall, gone=gone, range=code(lambda: s3.upload_part(Bucket="demo-work", Key="x", UploadId=up, PartNumber=10001, Body=b"z")))))`,
    )
    expect(answer).toEqual({
      listed: [
        [1, 5242880],
        [2, 4],
      ],
      uploads: ['m'],
      wrong: 'InvalidPart',
      order: 'InvalidPartOrder',
      same: true,
      body: true,
      copied: true,
      toosmall: 'EntityTooSmall',
      gone: 'NoSuchUpload',
      range: 'InvalidArgument',
    })
  })

  test('presigned addresses read and write without a key', async () => {
    const server = await openTestServer()
    const answer = await boto(
      server,
      `
put = s3.generate_presigned_url("put_object", Params={"Bucket": "demo-work", "Key": "p q.txt"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(put, data=b"presigned", method="PUT")).read()
get = s3.generate_presigned_url("get_object", Params={"Bucket": "demo-work", "Key": "p q.txt", "ResponseContentDisposition": "attachment; filename=x.txt"}, ExpiresIn=60)
with urllib.request.urlopen(get) as r: body, disposition = r.read().decode(), r.headers["Content-Disposition"]
def status(url):
  try: return urllib.request.urlopen(url).status
  except urllib.error.HTTPError as e: return e.code
print(json.dumps(dict(body=body, disposition=disposition, tampered=status(get.replace("p%20q", "p%20r")), unsigned=status("${server.url}/demo-work/p%20q.txt"))))`,
    )
    expect(answer).toEqual({
      body: 'presigned',
      disposition: 'attachment; filename=x.txt',
      tampered: 403,
      unsigned: 403,
    })
  })

  test('a key that may only create: new keys, retries of the same bytes, nothing else', async () => {
    const server = await openTestServer()
    const answer = await boto(
      server,
      `
from boto3.s3.transfer import TransferConfig
big = os.urandom(6 * 1024 * 1024)
s3.put_object(Bucket="demo-raw", Key="lime/a", Body=b"one")
again = code(lambda: s3.put_object(Bucket="demo-raw", Key="lime/a", Body=b"one"))
other = code(lambda: s3.put_object(Bucket="demo-raw", Key="lime/a", Body=b"two"))
multi = TransferConfig(multipart_threshold=5242880, multipart_chunksize=5242880)
s3.upload_fileobj(io.BytesIO(big), "demo-raw", "lime/big", Config=multi)
bigagain = code(lambda: s3.upload_fileobj(io.BytesIO(big), "demo-raw", "lime/big", Config=multi))
single = code(lambda: s3.put_object(Bucket="demo-raw", Key="lime/big", Body=big))
print(json.dumps(dict(again=again, other=other, bigagain=bigagain, single=single, outside=code(lambda: s3.put_object(Bucket="demo-raw", Key="man/a", Body=b"x")),
  delete=code(lambda: s3.delete_object(Bucket="demo-raw", Key="lime/a")), read=code(lambda: s3.get_object(Bucket="demo-raw", Key="lime/a")),
  list=code(lambda: s3.list_objects_v2(Bucket="demo-raw", Prefix="lime/")), size=s3.head_object(Bucket="demo-raw", Key="lime/a")["ContentLength"])))`,
      testKeys.daq,
    )
    expect(answer).toEqual({
      again: 200,
      other: 'AccessDenied',
      bigagain: 200,
      single: 200,
      outside: 'AccessDenied',
      delete: 'AccessDenied',
      read: 'AccessDenied',
      list: 'AccessDenied',
      size: 3,
    })
    expect(readFileSync(join(server.root, 'demo-raw/lime/a'), 'utf8')).toBe('one')
  })
})

describe.skipIf(aws === undefined)(
  `aws cli${aws === undefined ? ' [skipped: no aws beside CYGNET_TEST_PYTHON]' : ''}`,
  () => {
    test('cp, ls, sync and rm of a tree', async () => {
      const server = await openTestServer()
      const folder = (await temporaryDirectory()).path
      await mkdir(join(folder, 'up/sub'), { recursive: true })
      await writeFile(join(folder, 'up/small.txt'), 'hello')
      await writeFile(join(folder, 'up/sub/big.bin'), randomBytes(9 * 1024 * 1024))
      const s3 = async (...words: string[]) => await run([aws!, '--endpoint-url', server.url, 's3', ...words])
      await s3('cp', join(folder, 'up'), 's3://demo-work/tree', '--recursive')
      expect(await s3('ls', 's3://demo-work/tree/')).toMatch(/PRE sub\/[\s\S]*small\.txt/)
      await s3('cp', 's3://demo-work/tree/sub/big.bin', 's3://demo-work/tree/copy.bin')
      await s3('sync', 's3://demo-work/tree', join(folder, 'down'))
      expect(md5Of(join(folder, 'down/sub/big.bin'))).toBe(md5Of(join(folder, 'up/sub/big.bin')))
      expect(md5Of(join(folder, 'down/copy.bin'))).toBe(md5Of(join(folder, 'up/sub/big.bin')))
      await s3('rm', 's3://demo-work/tree', '--recursive')
      expect((await server.storage.listObjects({ bucket: 'demo-work' })).objects).toEqual([])
    })
  },
)

describe.skipIf(!onPath('rclone'))(`rclone${onPath('rclone') ? '' : ' [skipped: no rclone on this machine]'}`, () => {
  test('copies a tree up and down and finds no difference', async () => {
    const server = await openTestServer()
    const folder = (await temporaryDirectory()).path
    await mkdir(join(folder, 'up/sub'), { recursive: true })
    await writeFile(join(folder, 'up/a.txt'), 'hello')
    await writeFile(join(folder, 'up/sub/b.bin'), randomBytes(7 * 1024 * 1024))
    const remote = `:s3,provider=Other,endpoint="${server.url}",access_key_id=${testKeys.owner.id},secret_access_key=${testKeys.owner.secret},region=us-east-1:demo-work/tree`
    const rclone = async (...words: string[]) =>
      await run([
        'rclone',
        '--config',
        join(folder, 'none.conf'),
        '--s3-upload-cutoff',
        '5M',
        '--s3-chunk-size',
        '5M',
        ...words,
      ])
    await rclone('copy', join(folder, 'up'), remote)
    await rclone('check', join(folder, 'up'), remote, '--download')
    expect(JSON.parse(await rclone('lsjson', '-R', '--files-only', remote))).toHaveLength(2)
    await rclone('moveto', `${remote}/a.txt`, `${remote}/moved.txt`)
    await rclone('copy', remote, join(folder, 'down'))
    expect(md5Of(join(folder, 'down/sub/b.bin'))).toBe(md5Of(join(folder, 'up/sub/b.bin')))
    await rclone('purge', remote)
    expect((await server.storage.listObjects({ bucket: 'demo-work' })).objects).toEqual([])
  })
})

describe.skipIf(!onPath('s3cmd'))(`s3cmd${onPath('s3cmd') ? '' : ' [skipped: no s3cmd on this machine]'}`, () => {
  test('puts, lists, gets and deletes', async () => {
    const server = await openTestServer()
    const folder = (await temporaryDirectory()).path
    await writeFile(join(folder, 'big.bin'), randomBytes(6 * 1024 * 1024))
    const host = `127.0.0.1:${server.port}`
    const s3cmd = async (...words: string[]) =>
      await run([
        's3cmd',
        '--no-ssl',
        `--host=${host}`,
        `--host-bucket=${host}`,
        `--access_key=${testKeys.owner.id}`,
        `--secret_key=${testKeys.owner.secret}`,
        '--multipart-chunk-size-mb=5',
        '--config=/dev/null',
        ...words,
      ])
    await s3cmd('put', join(folder, 'big.bin'), 's3://demo-work/x/big.bin')
    expect(await s3cmd('ls', 's3://demo-work/x/')).toContain('s3://demo-work/x/big.bin')
    expect(await s3cmd('info', 's3://demo-work/x/big.bin')).toContain('6291456')
    await s3cmd('get', 's3://demo-work/x/big.bin', join(folder, 'back.bin'))
    expect(md5Of(join(folder, 'back.bin'))).toBe(md5Of(join(folder, 'big.bin')))
    await s3cmd('del', 's3://demo-work/x/big.bin')
    expect((await server.storage.listObjects({ bucket: 'demo-work' })).objects).toEqual([])
  })
})

test.skipIf(!onPath('curl'))('curl signs by itself', async () => {
  const server = await openTestServer()
  await server.storage.putObject({
    bucket: 'demo-work',
    key: 'c',
    body: (async function* () {
      yield Buffer.from('curl')
    })(),
  })
  const answer = await run([
    'curl',
    '-sS',
    '--aws-sigv4',
    'aws:amz:us-east-1:s3',
    '-H',
    'x-amz-content-sha256: UNSIGNED-PAYLOAD',
    '--user',
    `${testKeys.owner.id}:${testKeys.owner.secret}`,
    `${server.url}/demo-work/c`,
  ])
  expect(answer).toBe('curl')
})
