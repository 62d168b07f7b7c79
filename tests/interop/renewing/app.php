<?php
// An app that encrypts its session anew at each request, as Laravel's EncryptCookies and StartSession do with
// SESSION_DRIVER=cookie; and that knows a user by the cookie of "remember me", as its SessionGuard does.

$key = base64_decode(substr(getenv('SECRET'), strlen('base64:')));
const GUARD = 'web_59ba36addc2b2f9401580f014c7f58ea4e30989d';

function encrypt(string $name, string $value): string
{
    global $key;
    $iv = random_bytes(16);
    $prefix = hash_hmac('sha1', $name . 'v2', $key) . '|';
    $value = openssl_encrypt($prefix . $value, 'aes-256-cbc', $key, 0, $iv);
    $iv = base64_encode($iv);
    $mac = hash_hmac('sha256', $iv . $value, $key);
    return base64_encode(json_encode(['iv' => $iv, 'value' => $value, 'mac' => $mac, 'tag' => '']));
}

function decrypt(string $name): ?string
{
    global $key;
    $payload = json_decode(base64_decode($_COOKIE[$name] ?? ''), true);
    if (!$payload || !hash_equals(hash_hmac('sha256', $payload['iv'] . $payload['value'], $key), $payload['mac'])) {
        return null;
    }
    $value = openssl_decrypt($payload['value'], 'aes-256-cbc', $key, 0, base64_decode($payload['iv']));
    $prefix = hash_hmac('sha1', $name . 'v2', $key) . '|';
    return str_starts_with($value, $prefix) ? substr($value, strlen($prefix)) : null;
}

function set(string $name, string $value, int $ends = 0): void
{
    header("Set-Cookie: $name=" . rawurlencode($value) . '; Path=/; HttpOnly' . ($ends < 0 ? '; Max-Age=0' : ''), false);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$id = decrypt('laravel_session');
$kept = $id === null ? null : json_decode(decrypt($id) ?? 'null', true);
$session = $kept === null ? [] : unserialize($kept['data'], ['allowed_classes' => false]);
$user = $session['login_' . GUARD] ?? null;
if ($user === null && ($remembered = decrypt('remember_' . GUARD)) !== null) {
    $user = explode('|', $remembered)[0];
}
if ($path === '/sign-in') {
    $user = $_GET['user'];
    if (isset($_GET['remember'])) {
        set('remember_' . GUARD, encrypt('remember_' . GUARD, "$user|a-long-random-token|password-hash"));
    }
}
if ($path === '/sign-out') {
    foreach (array_keys($_COOKIE) as $name) {
        set($name, '', -1);
    }
    $user = null;
} elseif ($user !== null) {
    $id ??= bin2hex(random_bytes(20));
    $data = serialize(['_token' => bin2hex(random_bytes(20)), 'login_' . GUARD => $user]);
    set('laravel_session', encrypt('laravel_session', $id));
    set($id, encrypt($id, json_encode(['data' => $data, 'expires' => time() + 7200])));
}
header('Content-Type: application/json');
echo json_encode(['user' => $user]);
