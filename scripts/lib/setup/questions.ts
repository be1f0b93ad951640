/** What an operator has to say of a new installation; everything else has a default or is made. */
import { ENVIRONMENTS, type Environment } from '../config/config.ts';
import { longestName } from '../config/database-variables.ts';
import { offsite } from '../config/s3-variables.ts';
import { siteOf } from '../config/site.ts';
import { product } from '../config/stack-variables.ts';

/** What is known when a question is asked. */
export interface Known {
  environment: Environment;
  /** Of this environment's file, with the answers so far. An empty value counts as not set. */
  values: Record<string, string>;
  /** Of the other environment's file. */
  other: Record<string, string>;
}

export interface Question {
  /** The variable. */
  name: string;
  /** The option that answers it. Without one the variable is a secret: it is typed unseen, and --yes takes it from the environment. */
  flag?: string;
  /** What it is for, in a line or two. */
  text: string;
  /** What an empty answer means; undefined: the variable is left out. */
  standard?: (known: Known) => string | undefined;
  /** It can't be left out. */
  isNeeded?: true;
  /** Default: always. */
  isAsked?: (known: Known) => boolean;
  /** The file has a value that has had no effect, and may be replaced. */
  isIdle?: (known: Known) => boolean;
}

const withS3 = ({ values }: Known) => Boolean(values.S3_BUCKET);

/** In the order in which they are asked. */
export const QUESTIONS: Question[] = [
  {
    name: 'DOMAIN',
    flag: 'domain',
    text: 'The host name of the site, without www.: Nginx serves it, and redirects www. to it.',
    standard: domainOf,
    isNeeded: true,
  },
  {
    name: 'API_DOMAIN',
    flag: 'api-domain',
    text: 'The host name of the API.',
    standard: ({ environment, values }) => siteOf(environment, values).api,
    isNeeded: true,
  },
  {
    name: 'APP_NAME',
    flag: 'name',
    text: 'The product’s name: the prefix of containers, databases and backups. It can’t be changed later.',
    standard: nameOf,
    isNeeded: true,
  },
  {
    name: 'BACKEND_IMAGE',
    flag: 'backend-image',
    text: 'The image of the API, such as registry.example/acme/backend:1.0.0. Compose starts nothing without it; set it before.',
  },
  {
    name: 'FRONTEND_IMAGE',
    flag: 'frontend-image',
    text: 'The image of the web client. Compose starts nothing without it; set it before.',
  },
  {
    name: 'S3_BUCKET',
    flag: 's3-bucket',
    text: 'The S3 bucket of the off-site backups. Without one, a lost server is a lost database.',
  },
  {
    name: 'S3_ENDPOINT',
    flag: 's3-endpoint',
    text: 'The store’s address, such as https://s3.gra.io.cloud.ovh.net. Left out: Amazon’s.',
    isAsked: withS3,
  },
  {
    name: 'AWS_REGION',
    flag: 's3-region',
    text: 'The region of the bucket.',
    standard: () => offsite.AWS_REGION.default,
    isNeeded: true,
    isAsked: withS3,
    // A copy of .env.example has the default.
    isIdle: known => !withS3(known) && known.values.AWS_REGION === offsite.AWS_REGION.default,
  },
  {
    name: 'AWS_ACCESS_KEY_ID',
    text: 'The id of a key for this bucket that can list, read, write and delete.',
    isNeeded: true,
    isAsked: withS3,
  },
  {
    name: 'AWS_SECRET_ACCESS_KEY',
    text: 'The secret of this key.',
    isNeeded: true,
    isAsked: withS3,
  },
  {
    name: 'SLACK_WEBHOOK_URL',
    text: 'A Slack incoming webhook for the result of each backup, restore and drill. Left out: failures are only in the logs.',
  },
];

/** A product of another name must not serve the default product's domain. */
function domainOf({ environment, values, other }: Known): string | undefined {
  if (other.DOMAIN)
    return environment === 'staging' ? `staging.${other.DOMAIN}` : other.DOMAIN.replace(/^staging\./, '');
  const name = values.APP_NAME || other.APP_NAME || product.APP_NAME.default;
  return name === product.APP_NAME.default ? siteOf(environment, {}).frontend : undefined;
}

/** One that both environments can have. */
const NAME_LENGTH = Math.min(...ENVIRONMENTS.map(longestName));

/** The first label of the domain, except of the default product's. */
function nameOf({ environment, values, other }: Known): string {
  if (other.APP_NAME) return other.APP_NAME;
  if (values.DOMAIN === siteOf(environment, {}).frontend) return product.APP_NAME.default;
  const [label = ''] = (values.DOMAIN ?? '').replace(/^staging\.(?=.*\.)/, '').split('.');
  return label.slice(0, NAME_LENGTH).replace(/-+$/, '');
}
