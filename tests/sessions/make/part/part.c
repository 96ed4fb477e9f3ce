/* Something that takes a second to compile. */
#define ONE(n) static int f##n(int a, int b) { for (int i = 0; i < a; i++) b = b * n + i % (a | 1) ^ b >> (n & 7); return b; }
#define TEN(n) ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define ALL(n) TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
ALL(1) ALL(2) ALL(3) ALL(4)
#undef ONE
#define ONE(n) a += f##n(a, n);
int NAME(int a)
{
	if (a != 0) { ALL(1) ALL(2) ALL(3) ALL(4) return a; }
	return VALUE;
}
