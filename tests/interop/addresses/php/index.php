<?php
// A front controller: the page is what stands behind the script's name, or in the query.
$page = rtrim($_SERVER['PATH_INFO'] ?? '/' . ltrim($_GET['r'] ?? '', '/'), '/');
$token = $_SERVER['HTTP_X_PAGE_TOKEN'] ?? '';
header('Content-Type: text/html');
if ($page === '/account') {
    echo "<p>the guarded page, token=[$token]</p>";
} elseif ($page === '') {
    echo '<p>open to all</p>';
} else {
    http_response_code(404);
}
