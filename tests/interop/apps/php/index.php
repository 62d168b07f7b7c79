<?php
// PHP's own sessions, in files: php -S 127.0.0.1:3000 index.php

session_save_path(getenv('SESSION_FOLDER') ?: '/var/lib/php/sessions');
session_start();

$users = [
    17 => ['username' => 'ada', 'password' => 'analytical engine'],
    18 => ['username' => 'bob', 'password' => 'tabulating machine'],
];
$user = $users[$_SESSION['user_id'] ?? 0] ?? null;
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

function redirect(string $to): never
{
    header("Location: $to", response_code: 303);
    exit;
}

switch ("{$_SERVER['REQUEST_METHOD']} $path") {
    case 'GET /':
        if (!$user) {
            redirect('/login');
        }
        echo "<p>Signed in as {$user['username']}</p>
            <form method=\"post\" action=\"/logout\"><button>Sign out</button></form>";
        break;
    case 'GET /login':
        $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
        echo '<form method="post">
            <label>Username <input name="username"></label>
            <label>Password <input name="password" type="password"></label>
            <button>Sign in</button></form>';
        break;
    case 'POST /login':
        foreach ($users as $id => ['username' => $username, 'password' => $password]) {
            if ([$username, $password] === [$_POST['username'] ?? '', $_POST['password'] ?? '']) {
                session_regenerate_id(delete_old_session: true);
                $_SESSION['user_id'] = $id;
                redirect('/');
            }
        }
        redirect('/login');
    case 'POST /logout':
        session_destroy();
        setcookie(session_name(), '', 1, '/');
        redirect('/');
    case 'GET /whoami':
        header('Content-Type: application/json');
        echo json_encode(['user' => $user['username'] ?? null, 'header' => $_SERVER['HTTP_X_AUTH_USER'] ?? null]);
        break;
    default:
        http_response_code(404);
}
