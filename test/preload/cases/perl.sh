# shellcheck shell=bash
# Protects: perl's many small blocks that grow by realloc, interpreters cloned for threads, and fork.
# needs: perl:perl

cat >program.pl <<'END'
use strict; use warnings; use threads; use Digest::SHA qw(sha256_hex);
my %h;
for my $i (0 .. 150000) {
    $h{"k" . ($i * 7919 % 50021)} .= "$i,";
    delete $h{"k" . ($i % 50021)} if $i % 5 == 0;
}
print "hash ", scalar(keys %h), " ", sha256_hex(join ";", map { "$_=$h{$_}" } sort keys %h), "\n";
my $text = join " ", map { "word$_" } 0 .. 60000;
my $n = () = $text =~ /\b(w\w+?)(\d)\2\b/g;
(my $copy = $text) =~ s/(\d+)/sprintf "%x", $1/ge;
print "regex $n ", sha256_hex($copy), "\n";
my @sorted = sort { $a->[1] cmp $b->[1] || $a->[0] <=> $b->[0] } map { [$_, scalar reverse $_] } 0 .. 40000;
print "sort $sorted[0][0] $sorted[-1][0]\n";
my $s = ""; $s .= chr(65 + $_ % 26) x ($_ % 10) for 0 .. 200000;
print "string ", length $s, " ", sha256_hex($s), "\n";
my @sums = map { $_->join } map { my $k = $_; threads->create(sub { my %l = map { $_ => "x" x $_ } 0 .. 300; $k * keys %l }) } 1 .. 6;
print "threads @sums\n";
$| = 1;
for my $k (1 .. 20) {
    my $pid = open(my $pipe, "-|") // die;
    if (!$pid) { my %l = map { $_ => [$_] } 0 .. 500; print "child $k ", scalar(keys %l), "\n"; exit $k }
    print <$pipe>; close $pipe; print "exit ", $? >> 8, "\n";
}
my @deep; my $r = \@deep; for (1 .. 20000) { push @$r, []; $r = $r->[0] }
undef @deep;
open my $maps, "<", "/proc/self/maps"; open my $out, ">", "maps.perl"; print {$out} <$maps>;
END

preload
proof perl
perl program.pl
proof_maps 'perl at its end' maps.perl
perl -ne '$c{length $_}++; END { print "$_ $c{$_}\n" for sort { $a <=> $b } keys %c }' program.pl
