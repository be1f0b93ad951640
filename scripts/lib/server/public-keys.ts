/** Lines of authorized_keys: `man sshd`, AUTHORIZED_KEYS FILE FORMAT. */

export interface PublicKey {
  type: string;
  /** In base64. */
  blob: string;
  comment: string;
  /** What stands before the key: `restrict,command="…"`. */
  options: string;
}

const TYPE =
  /(?:^|[ \t])((?:sk-)?(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))(?:@openssh\.com)?)[ \t]+([A-Za-z0-9+/]{40,}=*)(?:[ \t]+(.*))?$/;

/** @returns the key of a line; undefined for a comment, an empty line, and what sshd would not take */
export function parseKey(line: string): PublicKey | undefined {
  if (/^\s*(#|$)/.test(line)) return undefined;
  const options = optionsOf(line);
  const match = TYPE.exec(line.trim().slice(options.length));
  if (!match) return undefined;
  const [, type = '', blob = '', comment = ''] = match;
  const bytes = Buffer.from(blob, 'base64');
  if (bytes.length < 36) return undefined;
  const length = bytes.readUInt32BE(0); // the key says its type once more (RFC 4253, 6.6)
  return bytes.subarray(4, 4 + length).toString() === type
    ? { type, blob, comment: comment.trim(), options }
    : undefined;
}

/** @returns what stands before the key; '' where nothing does. A space ends it, but not between quotes. */
export function optionsOf(line: string): string {
  const text = line.trim();
  if (TYPE.exec(text)?.index === 0) return '';
  return /^(?:"(?:[^"\\]|\\.)*"|[^\s"])+/.exec(text)?.[0] ?? '';
}
