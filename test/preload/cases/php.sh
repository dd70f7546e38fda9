# shellcheck shell=bash
# Protects: PHP, which loads its extensions with RTLD_DEEPBIND: they look for malloc in libc first (field case
# A8), and blocks go both ways between them, libc, libxml2 and the interpreter. Under a replacement of malloc that
# has no answer to that, it ends in glibc's free before its first line.
# needs: php:php-cli php:php-xml

cat >program.php <<'END'
<?php
$h = [];
for ($i = 0; $i < 150000; $i++) {
    $k = "k" . ($i * 7919 % 50021);
    $h[$k] = ($h[$k] ?? "") . "$i,";
    if ($i % 5 == 0) unset($h["k" . ($i % 50021)]);
}
ksort($h);
echo "hash ", count($h), " ", hash("sha256", json_encode($h)), "\n";
$d = new DOMDocument();
$r = $d->appendChild($d->createElement("list"));
for ($i = 0; $i < 5000; $i++) {
    $e = $r->appendChild($d->createElement("item", "text $i"));
    $e->setAttribute("id", "n" . $i % 77);
}
file_put_contents("list.xml", $d->saveXML());
$again = new DOMDocument();
$again->load("list.xml");
$found = (new DOMXPath($again))->query('//item[@id="n5"]');
echo "dom ", $found->length, " ", $found->item(3)->textContent, "\n";
$reader = new XMLReader();
$reader->open("list.xml");
for ($n = 0; $reader->read(); ) $n += $reader->nodeType == XMLReader::ELEMENT;
echo "reader $n\n";
libxml_use_internal_errors(true);
$again->loadXML("<a><b></a>");
foreach (libxml_get_errors() as $error) echo "error ", trim($error->message), "\n";
$text = implode(" ", array_map(fn($i) => "word$i", range(0, 60000)));
echo "regex ", preg_match_all('/\b(w\w+?)(\d)\2\b/', $text), " ",
    md5(preg_replace_callback('/\d+/', fn($m) => dechex($m[0]), $text)), "\n";
echo "date ", (new DateTime("2020-02-29"))->modify("+1 year")->format("c"), "\n";
echo "exec ", shell_exec("echo from a child"), getenv("TERM"), "\n";
class Node { public $next, $text; }
for ($first = null, $i = 0; $i < 100000; $i++) {
    $node = new Node; $node->next = $first; $node->text = str_repeat("x", $i % 300); $first = $node;
}
$node = null; // or the whole list ends at once, by recursion
for ($sum = 0; $first; $first = $first->next) $sum += strlen($first->text);
echo "list $sum\n";
try { str_repeat("x", -1); } catch (ValueError $e) { echo get_class($e), "\n"; }
copy("/proc/self/maps", "maps.php");
END

preload
proof php
php program.php
proof_maps 'php at its end' maps.php
php -m
php -r 'echo unserialize(serialize(range(1, 20000)))[19999], "\n";'
USE_ZEND_ALLOC=0 php program.php
