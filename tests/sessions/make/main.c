#include <stdio.h>
int top1(int), top2(int), top3(int), top4(int), part5(int), part6(int), part7(int), part8(int);
int part9(int), part10(int), part11(int), part12(int);
int main(void)
{
	int sum = top1(0) + top2(0) + top3(0) + top4(0) + part5(0) + part6(0) + part7(0) + part8(0);
	printf("sum %d\n", sum + part9(0) + part10(0) + part11(0) + part12(0));
}
