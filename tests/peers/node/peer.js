// Signs and verifies requests with `http-message-signatures` of npm. One question per line of standard input, as JSON;
// one answer per line of standard output. Node ends when the input does.
'use strict';

const { createInterface } = require('node:readline');
const { createPrivateKey, createPublicKey } = require('node:crypto');
const { createSigner, createVerifier, httpbis } = require('http-message-signatures');

// HMAC keys come as hex, Ed25519 keys as PEM.
const signingKey = ({ algorithm, key }) => (algorithm === 'ed25519' ? createPrivateKey(key) : Buffer.from(key, 'hex'));
const verifyingKey = ({ algorithm, key }) => (algorithm === 'ed25519' ? createPublicKey(key) : Buffer.from(key, 'hex'));

// {algorithm, key, keyid, label, fields, params, message: {method, url, headers}} -> {headers}
async function sign(question) {
    const values = { ...question.params, keyid: question.keyid, alg: question.algorithm };
    for (const name of ['created', 'expires']) {
        values[name] = new Date(values[name] * 1000);
    }
    const signed = await httpbis.signMessage({
        key: createSigner(signingKey(question), question.algorithm, question.keyid),
        name: question.label,
        fields: question.fields,
        params: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
        paramValues: values,
    }, question.message);
    return { headers: signed.headers };
}

// {algorithm, key, keyid, fields, message} -> {verified, params}: whether it holds, and covers all of `fields`.
async function verify(question) {
    let seen = null;
    const verified = await httpbis.verifyMessage({
        all: true,
        requiredFields: question.fields,
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
        tolerance: 5,
        async keyLookup(params) {
            seen = params;
            if (params.keyid !== question.keyid) {
                return null;
            }
            const verifier = createVerifier(verifyingKey(question), question.algorithm);
            return { id: params.keyid, algs: [question.algorithm], verify: verifier };
        },
    }, question.message);
    return { verified, params: seen };
}

const deeds = { sign, verify };

async function main() {
    for await (const line of createInterface({ input: process.stdin })) {
        const question = JSON.parse(line);
        let answer;
        try {
            answer = await deeds[question.deed](question);
        } catch (error) {
            answer = { error: `${error.name}: ${error.message}` };
        }
        process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
}

main();
